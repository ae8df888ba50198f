"""Runs assessment: ``python -m services.assessment --help`` lists its processes and what brings its data back."""

from services.assessment import wiring
from services.assessment.recovery import RECOVERY
from services.recovery.service_commands import main

if __name__ == "__main__":
    main(wiring.SERVICE, RECOVERY)
