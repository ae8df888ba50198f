"""Sheets (CSV) that a programme comes in, one row a session."""
