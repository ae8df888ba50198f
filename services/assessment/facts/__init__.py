"""Counts events into facts and rollups by unit and month."""
