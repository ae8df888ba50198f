"""Units, organisations and stations: copies of what registry publishes."""
