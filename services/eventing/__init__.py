"""Carries facts safely between services: outbox, relay, door, positions, parking; knows no domain word."""
