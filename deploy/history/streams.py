"""Gives every subject of a history its own stream of randomness."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def stream(seed: int, *subject: object) -> random.Random:
    """The randomness of one subject, for example ``stream(7, "people", "340802")``.

    Streams are independent of each other, so that a change in one subject's rules does not shift the others' data.
    """
    return random.Random("/".join(str(part) for part in (seed, *subject)))


def pick(rng: random.Random, table: Sequence[tuple[T, float]]) -> T:
    """One value of a table of values with their weights (any positive scale)."""
    values = [value for value, _ in table]
    return rng.choices(values, [weight for _, weight in table])[0]


def whole(rng: random.Random, expected: float) -> int:
    """A whole number with this expectation: the floor, or one more with the probability of the rest."""
    floor = int(expected)
    return floor + (rng.random() < expected - floor)
