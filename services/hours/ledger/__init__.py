"""Keeps the ledger: entries, accounts, months, lanes, chains."""
