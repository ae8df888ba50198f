"""Grades the evidence of an attendance."""
