"""Keeps the area table: the assessed units in versions, and the roll of retired cadres of each."""
