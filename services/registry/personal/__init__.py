"""Checks, masks and seals what is personal; the rest of the platform knows people by our ids alone."""
