"""Starts a process of registry: ``python -m services.registry api | processor | relay``."""

from services.registry import wiring
from services.runtime.process import main

if __name__ == "__main__":
    main(wiring.SERVICE)
