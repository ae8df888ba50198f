"""Kills and pauses the real processes under load, and judges what is left: nothing lost, nothing doubled."""
