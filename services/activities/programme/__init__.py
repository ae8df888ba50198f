"""Activities and their sessions, from draft to published."""
