"""Decides which minutes of a person's day are credited, and to which attendance."""
