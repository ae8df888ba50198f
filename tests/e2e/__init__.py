"""End to end: the main job over HTTP on real processes."""
