"""Runs activities: ``python -m services.activities --help`` lists its processes and what brings its data back."""

from services.activities import wiring
from services.activities.recovery import RECOVERY
from services.recovery.service_commands import main

if __name__ == "__main__":
    main(wiring.SERVICE, RECOVERY)
