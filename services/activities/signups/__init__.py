"""Places in sessions that volunteers hold."""
