"""Announces the missed check-outs whose time has run out."""
