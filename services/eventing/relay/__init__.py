"""Carries what the outbox announces to the log, once per service at a time."""
