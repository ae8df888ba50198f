"""What the whole platform needs from one end to the other."""
