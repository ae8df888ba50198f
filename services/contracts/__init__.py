"""Holds what services say to each other: events, topics, the codec; imports no other package of ours."""
