"""Starts a process of hours: ``python -m services.hours api | processor | relay``."""

from services.hours import wiring
from services.runtime.process import main

if __name__ == "__main__":
    main(wiring.SERVICE)
