"""Runs hours: ``python -m services.hours --help`` lists its processes and what brings its data back."""

from services.recovery.service_commands import main
from services.hours import wiring
from services.hours.recovery import RECOVERY

if __name__ == "__main__":
    main(wiring.SERVICE, RECOVERY)
