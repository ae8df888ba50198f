"""Says independently what a loaded history must come to; shares no code with the services."""
