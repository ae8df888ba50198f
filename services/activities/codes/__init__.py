"""Codes that prove presence: a station's rotating code, a session's one-time codes."""
