"""Shapes what the ledger answers over HTTP."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.contracts.hours import EntryKind
from services.contracts.ids import Grade
from services.eventing.ports import Document
from services.eventing.times import from_text
from services.hours.crediting.rules import moment_of
from services.hours.ledger.rules import Account

Minutes = Annotated[int, Field(description="Whole minutes.")]


_BALANCE: JsonDict = {
    "volunteer_id": "0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70",
    "home_unit": "340802",
    "minutes": 4310,
    "by_grade": {"grade_0": 0, "grade_1": 980, "grade_2": 3330, "grade_3": 0},
    "entries": 37,
}
_PENDING: JsonDict = {
    "attendance_id": "5c1f0b9d2e7a4836a0d4c9be13f7582d",
    "session_id": "SE-340802-0014-1",
    "surely_minutes": 0,
    "at_most_minutes": 115,
    "grade": 2,
    "settles_at": "2026-07-15T03:00:00Z",
}
_ACCOUNT: JsonDict = {
    **_BALANCE,
    "pending": [_PENDING],
    "chain_head": "4e" * 32,
    "recorded_at": "2026-07-14T03:04:09.000000Z",
}
_ENTRY: JsonDict = {
    "entry_id": "0b7d8f5e6c4a39281706f5e4d3c2b1a0",
    "kind": "credit",
    "minutes": 120,
    "grade": 2,
    "state": "settled",
    "service_date": "2026-07-14",
    "booking_month": "2026-07",
    "recorded_at": "2026-07-14T03:04:09.000000Z",
    "home_unit": "340802",
    "unit_served": "340802",
    "attendance_id": "5c1f0b9d2e7a4836a0d4c9be13f7582d",
    "session_id": "SE-340802-0014-1",
    "activity_id": "AC-340802-0014",
    "organiser_id": "TM-340802-07",
    "station_id": "ST-340802-03",
    "service_type": "health",
    "key_field": "health_care",
    "reverses": None,
    "cause": "0198063f-11c4-7d7e-8a35-2b9c4d1e6f80",
    "rule": "credit-1",
    "ordinal": 0,
    "lane": "340802|activities.attendance|3",
    "chain_number": 41,
    "chain_hash": "4e" * 32,
}
_VERIFICATION: JsonDict = {
    "volunteer_id": "0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70",
    "holds": True,
    "entries": 37,
    "first_misfit": None,
}
_UNIT_MONTH: JsonDict = {
    "unit": "340802",
    "month": "2026-07",
    "minutes": 84210,
    "by_grade": {"grade_0": 2100, "grade_1": 30110, "grade_2": 52000, "grade_3": 0},
    "entries": 702,
}


class ByGrade(BaseModel):
    """Settled minutes by evidence grade (证据等级)."""

    model_config = ConfigDict(frozen=True)

    grade_0: Minutes
    grade_1: Minutes
    grade_2: Minutes
    grade_3: Minutes

    @classmethod
    def of(cls, minutes: Sequence[int]) -> "ByGrade":
        """From minutes in the order of the grades."""
        zero, one, two, three = minutes
        return cls(grade_0=zero, grade_1=one, grade_2=two, grade_3=three)


class Pending(BaseModel):
    """A check-in whose check-out is missing so far: surely served, at most, and when it settles at the lower bound."""

    model_config = ConfigDict(frozen=True)

    attendance_id: str
    session_id: str
    surely_minutes: Minutes
    at_most_minutes: Minutes
    grade: Grade
    settles_at: datetime


class Balance(BaseModel):
    """One volunteer's settled balance."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_BALANCE]})

    volunteer_id: str
    home_unit: str
    minutes: Minutes
    by_grade: ByGrade
    entries: int

    @classmethod
    def of(cls, volunteer: str, account: Account) -> "Balance":
        """From an account head."""
        return cls(
            volunteer_id=volunteer,
            home_unit=account.home_unit,
            minutes=sum(account.minutes),
            by_grade=ByGrade.of(account.minutes),
            entries=account.entries,
        )


class AccountView(Balance):
    """One volunteer's account: balance, what is pending, and the head of its chain."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_ACCOUNT]})

    pending: Sequence[Pending]
    chain_head: str
    recorded_at: datetime | None

    @classmethod
    def of(cls, volunteer: str, account: Account) -> "AccountView":
        """From an account head."""
        return cls(
            **Balance.of(volunteer, account).model_dump(),
            pending=[
                Pending(
                    attendance_id=attendance,
                    session_id=waiting.service.session_id,
                    surely_minutes=0,
                    at_most_minutes=max(0, waiting.ends - max(waiting.came, waiting.starts)),
                    grade=waiting.grade,
                    settles_at=moment_of(waiting.due),
                )
                for attendance, waiting in sorted(account.open.items())
            ],
            chain_head=account.head,
            recorded_at=from_text(account.recorded_at) if account.recorded_at else None,
        )


class EntryView(BaseModel):
    """One entry of the ledger, as it was inserted."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_ENTRY]})

    entry_id: str
    kind: EntryKind
    minutes: Minutes
    grade: Grade
    state: str
    service_date: date
    booking_month: str
    recorded_at: datetime
    home_unit: str
    unit_served: str
    attendance_id: str
    session_id: str
    activity_id: str
    organiser_id: str
    station_id: str | None
    service_type: str
    key_field: str | None
    reverses: str | None
    cause: str
    rule: str
    ordinal: int
    lane: str
    chain_number: int
    chain_hash: str

    @classmethod
    def of(cls, document: Document) -> "EntryView":
        """From a stored entry."""
        return cls.model_validate({**document, "entry_id": document["_id"]})


class Verification(BaseModel):
    """What walking an account's chain from its first entry showed."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_VERIFICATION]})

    volunteer_id: str
    holds: bool = Field(description="Every hash follows, and the balance is the sum of the entries.")
    entries: int
    first_misfit: str | None = Field(description="The id of the first entry that does not fit.")


class UnitMonth(BaseModel):
    """What a unit's lanes issued for one booking month."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_UNIT_MONTH]})

    unit: str
    month: str
    minutes: Minutes
    by_grade: ByGrade
    entries: int
