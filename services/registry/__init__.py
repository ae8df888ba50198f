"""Keeps who exists: the area table, organisations, volunteers; alone in the platform it holds personal data."""
