"""Runs a process: settings, clock, ids, logs, metrics, HTTP, authorisation, MongoDB; knows no domain word."""
