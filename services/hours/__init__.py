"""Keeps what service is worth: an append-only ledger in integer minutes."""
