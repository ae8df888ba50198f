"""Runs registry: ``python -m services.registry --help`` lists its processes and what brings its data back."""

from services.recovery.service_commands import main
from services.registry import wiring
from services.registry.recovery import RECOVERY

if __name__ == "__main__":
    main(wiring.SERVICE, RECOVERY)
