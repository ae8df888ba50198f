"""Starts a process of activities: ``python -m services.activities api | processor | relay``."""

from services.activities import wiring
from services.runtime.process import main

if __name__ == "__main__":
    main(wiring.SERVICE)
