"""Runs hours: ``python -m services.hours --help`` lists its processes and what brings its data back."""

from services.hours import wiring
from services.hours.recovery import RECOVERY
from services.recovery.service_commands import main

if __name__ == "__main__":
    main(wiring.SERVICE, RECOVERY)
