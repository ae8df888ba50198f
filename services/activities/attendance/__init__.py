"""Who came and who left, live."""
