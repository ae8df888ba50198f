"""The platform: what services say, how facts travel, how a process runs, and the four services."""
