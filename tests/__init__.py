"""Proof of the platform, by kind of test first and then by source folder."""
