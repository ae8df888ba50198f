"""Volunteers, as far as activities must know them: copies of what registry publishes."""
