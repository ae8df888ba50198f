"""Says how one run ended."""

from collections import Counter
from dataclasses import dataclass, field

from tests.support.simulation.plan import Plan


@dataclass(frozen=True, slots=True)
class Violation:
    """What was promised and did not hold; ``code`` says which promise, so that two runs with one code failed alike."""

    code: str
    detail: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run's end: what was violated (nothing), and what the run exercised."""

    plan: Plan
    violation: Violation | None
    trace: int
    steps: int
    lasted_s: float
    coverage: Counter[str] = field(compare=False)

    @property
    def code(self) -> str | None:
        """The violated promise, if any."""
        return self.violation.code if self.violation is not None else None
