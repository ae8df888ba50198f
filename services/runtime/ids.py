"""Makes ids and the seed of a process's randomness: the only module that draws either from the system."""

import random

import uuid_utils


class SystemIds:
    """UUIDv7: unique, and ordered by the time they were made, so that new rows stand together in an index."""

    def new(self) -> str:
        return str(uuid_utils.uuid7())


def system_randomness() -> random.Random:
    """A source for jitter, trace ids and the like, seeded by the operating system; never for secrets."""
    return random.Random()
