"""Runs the platform's own code under faults, on one thread, from one seed."""
