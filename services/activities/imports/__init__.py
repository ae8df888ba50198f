"""Programmes that arrive as files, one row a session."""
