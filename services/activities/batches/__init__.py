"""Attendances that a kiosk or a roster brings in later, up to 500 rows at a time."""
