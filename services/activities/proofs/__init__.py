"""What is claimed to prove presence, and what of it holds."""
