"""Decides what each row of a programme's sheet changes; what a row changed holds for the rows after it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.activities.places.rules import Place
from services.activities.programme.rules import (
    Activity,
    Fault,
    Session,
    activity_published,
    faults_of_activity,
    faults_of_plan,
    session_of,
    session_published,
)
from services.activities.sheets.rules import COLUMNS, PlannedRow
from services.contracts.activities import ActivityPublished, SessionPublished
from services.contracts.ids import ActivityId, SessionId, UnitCode
from services.runtime.cells import CellError

_OF_ACTIVITY: Final = ("title", "organiser_id", "unit_served", "brand_id", "service_type", "key_field")
_OF_SESSION: Final = ("activity_id", "starts_at", "ends_at", "station_id")


@dataclass(slots=True)
class Programme:
    """What there is before the sheet, as far as it is named there; takes in what each row changes."""

    places: dict[str, Place]
    activities: dict[ActivityId, Activity]
    sessions: dict[SessionId, Session]
    covers: Callable[[UnitCode], bool]


@dataclass(slots=True)
class Result:
    """What a sheet comes to: what is to be written and announced, and what is wrong, cell by cell."""

    accepted: int = 0
    unchanged: int = 0
    refused: int = 0
    errors: list[CellError] = field(default_factory=list)
    activities: set[ActivityId] = field(default_factory=set)
    sessions: set[SessionId] = field(default_factory=set)
    events: list[ActivityPublished | SessionPublished] = field(default_factory=list)


def decide_rows(rows: Iterable[PlannedRow | Sequence[CellError]], programme: Programme) -> Result:
    """Decides every row as if it had come alone, one after the other; a row is taken in whole or not at all."""
    result = Result()
    for row in rows:
        errors = _errors(row, programme) if isinstance(row, PlannedRow) else row
        if errors or not isinstance(row, PlannedRow):
            result.refused += 1
            result.errors.extend(errors)
        elif _is_there(row, programme):
            result.unchanged += 1
        else:
            _take_in(row, programme, result)
            result.accepted += 1
    return result


def _errors(row: PlannedRow, programme: Programme) -> list[CellError]:
    """What is held against a row: the area first, then what it names, then what there is already."""
    if not programme.covers(row.activity.unit_served):
        faults = [Fault("unit_served", "outside_area")]
    else:
        faults = [*faults_of_activity(row.activity, programme.places), *faults_of_plan(row.plan, programme.places)]
    if not faults:
        faults = [*_differences_of_activity(row, programme), *_differences_of_session(row, programme)]
    return [CellError(row.row, COLUMNS[fault.field], fault.code) for fault in faults]


def _differences_of_activity(row: PlannedRow, programme: Programme) -> list[Fault]:
    known = programme.activities.get(row.activity.activity_id)
    if known is None:
        return []
    return [
        Fault(each, "activity_differs") for each in _OF_ACTIVITY if getattr(known, each) != getattr(row.activity, each)
    ]


def _differences_of_session(row: PlannedRow, programme: Programme) -> list[Fault]:
    """A draft may be planned anew, under its activity; what is published stays as it is."""
    known = programme.sessions.get(row.plan.session_id)
    if known is None:
        return []
    if known.facts.activity_id != row.activity.activity_id:
        return [Fault("activity_id", "session_differs")]
    if not known.published:
        return []
    planned = session_of(row.plan, row.activity)
    faults = [
        Fault(each, "session_differs")
        for each in _OF_SESSION
        if getattr(known.facts, each) != getattr(planned.facts, each)
    ]
    if known.capacity != planned.capacity:
        faults.append(Fault("capacity", "session_differs"))
    return faults if row.published else [*faults, Fault("published", "session_published_already")]


def _is_there(row: PlannedRow, programme: Programme) -> bool:
    known = programme.sessions.get(row.plan.session_id)
    if known is None or known.published != row.published:
        return False
    planned = session_of(row.plan, row.activity)
    return known.facts == planned.facts and known.capacity == planned.capacity


def _take_in(row: PlannedRow, programme: Programme, result: Result) -> None:
    activity = programme.activities.get(row.activity.activity_id, row.activity)
    session = session_of(row.plan, activity)
    if row.published:
        if not activity.published:
            activity = activity.as_published()
            result.events.append(activity_published(activity))
        session = session.as_published()
        result.events.append(session_published(session))
    if programme.activities.get(activity.activity_id) != activity:
        programme.activities[activity.activity_id] = activity
        result.activities.add(activity.activity_id)
    programme.sessions[row.plan.session_id] = session
    result.sessions.add(row.plan.session_id)


def named_places(rows: Iterable[PlannedRow]) -> set[str]:
    """The ids of all units and organisations that rows name."""
    return {
        each
        for row in rows
        for each in (row.activity.unit_served, row.activity.organiser_id, row.activity.brand_id, row.plan.station_id)
        if each is not None
    }
