"""Puts together what a history must come to."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.oracle.crediting import GRADES, Ledger, credit
from tests.support.oracle.doors import Doors, Outcome
from tests.support.oracle.inputs import Inputs, read
from tests.support.oracle.scoreboard import Score, scoreboard


@dataclass(frozen=True)
class Judgement:
    """What all balances, totals and scores must be once everything is applied that is due at ``as_of``."""

    inputs: Inputs
    outcome: Outcome
    ledger: Ledger
    as_of: datetime

    def account(self, number: str) -> list[int]:
        """A volunteer's minutes by grade; zeros for who never served."""
        return self.ledger.accounts.get(number, [0] * GRADES)

    def unit_month(self, unit: str, month: str) -> list[int]:
        """A unit's minutes by grade in a service month."""
        return self.ledger.unit_months.get((unit, month), [0] * GRADES)

    def scoreboard(self, period: str) -> dict[str, Score]:
        """Every unit's score for a period."""
        return scoreboard(self.inputs, self.ledger, period)


def judge(directory: Path, as_of: datetime | None = None) -> Judgement:
    """Judges a history. ``as_of``: by default when the last time-out of all is over."""
    inputs = read(directory)
    outcome = Doors(inputs).run()
    if as_of is None:
        ends = [session.ends_at for session in inputs.sessions.values()]
        as_of = max([*ends, *(sending.at for sending in inputs.sendings)]) + timedelta(days=2)
    return Judgement(inputs, outcome, credit(outcome.attendances.values(), as_of), as_of)
