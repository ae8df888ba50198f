"""Names what a decision on one row or command comes to when nothing changes: a fault, or no difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.runtime.outcomes import Refusal


class Fault(NamedTuple):
    """What is wrong with one field; ``field`` is our name of it, ``code`` stands in the table of problems."""

    field: str
    code: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """All that was said is known already."""


UNCHANGED = Unchanged()
Faults = tuple[Fault, ...]


def refusal_of(faults: Sequence[Fault]) -> Refusal:
    """The refusal of a single command: the first fault's code, with every fault's field and code."""
    assert faults
    errors = [{"path": f"body.{fault.field}", "message": fault.code} for fault in faults]
    return Refusal(faults[0].code, extra={"errors": errors})
