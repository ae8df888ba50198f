"""Starts a process of assessment: ``python -m services.assessment api | processor | relay``."""

from services.assessment import wiring
from services.runtime.process import main

if __name__ == "__main__":
    main(wiring.SERVICE)
