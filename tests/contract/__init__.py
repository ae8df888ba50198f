"""Contract tests: services still understand each other; generated files are fresh."""
