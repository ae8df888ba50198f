"""Runs assessment: ``python -m services.assessment --help`` lists its processes and what brings its data back."""

from services.recovery.service_commands import main
from services.assessment import wiring
from services.assessment.recovery import RECOVERY

if __name__ == "__main__":
    main(wiring.SERVICE, RECOVERY)
