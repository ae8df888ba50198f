"""A real broker and a MongoDB-compatible database on one bare machine."""
