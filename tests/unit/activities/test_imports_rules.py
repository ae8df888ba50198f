"""What each row of a sheet changes: taken in whole, there already, or wrong in named cells."""

from typing import Any

from services.activities.imports.rules import Programme, Result, decide_rows, named_places
from services.activities.places.rules import Place
from services.activities.programme.rules import session_of
from services.activities.sheets.rules import PlannedRow
from services.contracts.activities import ActivityPublished, SessionPublished
from services.contracts.ids import ActivityId, OrganisationId, SessionId
from services.runtime.cells import CellError
from tests.support.activities import STATION, TEAM, UNIT, a_plan, an_activity, at


def row(
    number: int = 2, *, published: bool = True, activity: str = "AC-1", plan: Any = None, **changes: Any
) -> PlannedRow:
    return PlannedRow(number, an_activity(activity, **changes), plan or a_plan(), published)


def programme(**changes: Any) -> Programme:
    """Nothing planned yet; the unit, the team and the station are known."""
    places = [Place(UNIT, "unit", UNIT), Place(TEAM, "team", UNIT), Place(STATION, "station", UNIT)]
    usual: dict[str, Any] = {
        "places": {each.place_id: each for each in places},
        "activities": {},
        "sessions": {},
        "covers": lambda _: True,
    }
    return Programme(**{**usual, **changes})


def after(*rows: PlannedRow) -> Programme:
    """What there is once these rows are in."""
    known = programme()
    assert decide_rows(rows, known).errors == []
    return known


def kinds(result: Result) -> list[type]:
    return [type(event) for event in result.events]


def test_a_published_row_announces_its_activity_and_its_session() -> None:
    result = decide_rows([row()], programme())
    assert (result.accepted, result.unchanged, result.errors) == (1, 0, [])
    assert kinds(result) == [ActivityPublished, SessionPublished]


def test_an_activity_is_announced_once_for_all_its_rows() -> None:
    result = decide_rows([row(2), row(3, plan=a_plan("SE-2"))], programme())
    assert kinds(result) == [ActivityPublished, SessionPublished, SessionPublished]
    assert (result.activities, result.sessions) == ({"AC-1"}, {"SE-1", "SE-2"})


def test_a_draft_is_taken_in_and_not_announced() -> None:
    result = decide_rows([row(published=False)], programme())
    assert (result.accepted, result.events) == (1, [])


def test_a_draft_is_published_by_its_row_when_it_says_so() -> None:
    result = decide_rows([row()], after(row(published=False)))
    assert (result.accepted, kinds(result)) == (1, [ActivityPublished, SessionPublished])


def test_a_draft_is_planned_anew() -> None:
    known = after(row(published=False))
    result = decide_rows([row(published=False, plan=a_plan(capacity=5))], known)
    assert (result.accepted, known.sessions[SessionId("SE-1")].capacity) == (1, 5)


def test_a_row_that_comes_again_changes_nothing() -> None:
    for published in (True, False):
        result = decide_rows([row(published=published)], after(row(published=published)))
        assert (result.accepted, result.unchanged, result.events, result.sessions) == (0, 1, [], set())


def test_a_session_with_places_taken_is_still_the_same() -> None:
    known = after(row())
    session = known.sessions[SessionId("SE-1")]
    known.sessions[SessionId("SE-1")] = session.__class__(
        facts=session.facts, capacity=session.capacity, places_taken=3, published=True
    )
    assert decide_rows([row()], known).unchanged == 1


def test_what_is_published_stays_as_it_is() -> None:
    result = decide_rows([row(plan=a_plan(ends_at=at(12), capacity=5))], after(row()))
    assert result.errors == [CellError(2, "结束时间", "session_differs"), CellError(2, "人数上限", "session_differs")]
    assert result.sessions == set()


def test_what_is_published_is_no_draft_again() -> None:
    result = decide_rows([row(published=False)], after(row()))
    assert result.errors == [CellError(2, "状态", "session_published_already")]


def test_all_rows_of_an_activity_say_the_same_of_it() -> None:
    result = decide_rows([row(2), row(3, title="别的", key_field=None, plan=a_plan("SE-2"))], programme())
    assert result.accepted == 1
    assert result.errors == [CellError(3, "活动名称", "activity_differs"), CellError(3, "重点领域", "activity_differs")]


def test_a_session_belongs_to_one_activity() -> None:
    result = decide_rows([row(activity="AC-2")], after(row()))
    assert result.errors == [CellError(2, "活动编号", "session_differs")]


def test_a_row_names_only_what_exists() -> None:
    result = decide_rows(
        [row(organiser_id=OrganisationId("TM-9"), plan=a_plan(station=TEAM, ends_at=at(9)))], programme()
    )
    assert result.errors == [
        CellError(2, "组织编号", "organisation_unknown"),
        CellError(2, "驿站编号", "station_unknown"),
        CellError(2, "结束时间", "session_window_invalid"),
    ]


def test_a_row_outside_the_area_is_refused_whatever_else_it_says() -> None:
    result = decide_rows([row(organiser_id=OrganisationId("TM-9"))], programme(covers=lambda _: False))
    assert result.errors == [CellError(2, "服务单位", "outside_area")]


def test_rows_that_could_not_be_read_keep_their_errors_in_order() -> None:
    unreadable = [CellError(3, "人数上限", "cell_not_a_number")]
    result = decide_rows([row(2), unreadable, row(4, plan=a_plan("SE-2", ends_at=at(9)))], programme())
    assert [error.row for error in result.errors] == [3, 4]
    assert result.accepted == 1


def test_an_activity_known_from_the_api_takes_sessions_from_a_sheet() -> None:
    known = programme(activities={ActivityId("AC-1"): an_activity().as_published()})
    result = decide_rows([row()], known)
    assert (kinds(result), result.activities) == ([SessionPublished], set())
    assert known.sessions[SessionId("SE-1")] == session_of(a_plan(), an_activity()).as_published()


def test_the_places_that_rows_name_are_found() -> None:
    assert named_places([row(brand_id=None), row(plan=a_plan(station=None))]) == {UNIT, TEAM, STATION}
