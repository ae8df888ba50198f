"""Keeps departments, party branches, stations, teams and brands, and which unit each belongs to."""
