"""The command line of backups: ``python -m services.recovery backup | run | list | verify | prune | erase``."""

from services.recovery.command_line import app

if __name__ == "__main__":
    app()
