"""Runs activities: ``python -m services.activities --help`` lists its processes and what brings its data back."""

from services.recovery.service_commands import main
from services.activities import wiring
from services.activities.recovery import RECOVERY

if __name__ == "__main__":
    main(wiring.SERVICE, RECOVERY)
