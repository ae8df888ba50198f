"""Laws of assessment, for all histories of entries."""

import asyncio
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.assessment import wiring
from services.assessment.facts import store as facts
from services.assessment.periods import parse_period
from services.assessment.rule_sets.library import rule_sets
from services.assessment.scores.handlers import get_score
from services.assessment.scores.rules import Inputs, Score, ranked, score_of
from services.contracts.event import Event
from services.contracts.hours import EntryPosted
from services.contracts.ids import GRADES
from tests.support.processing import Processing
from tests.unit.assessment.test_assessment_over_http import entry, person, roll, station, unit

QUARTER = parse_period("2026-Q3")
RULES = rule_sets()["2026-1"]
PEOPLE = ("v1", "v2", "v3")
FOUNDED: tuple[Event, ...] = (unit(), roll(40), station(), *(person(name, retired=name != "v3") for name in PEOPLE))

ENTRIES = st.lists(
    st.builds(
        lambda who, month, minutes, grade, taken_back: (
            entry(who, month=month, minutes=minutes, grade=grade),
            taken_back,
        ),
        st.sampled_from(PEOPLE),
        st.integers(7, 9),
        st.integers(0, 240),
        st.sampled_from([0, 1, 2, 3]),
        st.booleans(),
    ),
    max_size=8,
)


def reversal(of: EntryPosted) -> EntryPosted:
    """What takes an entry back."""
    return msgspec.structs.replace(of, kind="reversal", minutes=-of.minutes, reverses=of.entry_id)


def history(entries: list[tuple[EntryPosted, bool]]) -> list[Event]:
    """Entries, each followed at the end by the reversals of those taken back."""
    return [*(one for one, _ in entries), *(reversal(one) for one, taken_back in entries if taken_back)]


async def scored(events: list[Event]) -> tuple[Score, Processing]:
    """The score after events in this order, each in a batch of its own."""
    assessment = await Processing(wiring).prepare()
    for event in (*FOUNDED, *events):
        await assessment.take(event)
    return await get_score(assessment.store, "340802", QUARTER, RULES), assessment


@settings(max_examples=25)
@given(ENTRIES)
def test_what_was_taken_back_leaves_no_trace_in_a_score(entries: list[tuple[EntryPosted, bool]]) -> None:
    with_reversals, _ = asyncio.run(scored(history(entries)))
    without, _ = asyncio.run(scored([one for one, taken_back in entries if not taken_back]))
    assert with_reversals.points == without.points
    assert with_reversals.minutes_by_grade == without.minutes_by_grade


@settings(max_examples=25)
@given(ENTRIES, st.randoms(use_true_random=False))
def test_a_score_does_not_depend_on_how_peoples_events_interleave(
    entries: list[tuple[EntryPosted, bool]], random: Any
) -> None:
    events = history(entries)
    mixed = sorted(events, key=lambda event: (random.random(), event.key))
    by_person = {name: iter([event for event in events if event.key == name]) for name in PEOPLE}
    shuffled = [next(by_person[event.key]) for event in mixed]
    assert asyncio.run(scored(events))[0] == asyncio.run(scored(shuffled))[0]


@settings(max_examples=25)
@given(ENTRIES)
def test_rollups_are_the_sums_of_the_facts(entries: list[tuple[EntryPosted, bool]]) -> None:
    _, assessment = asyncio.run(scored(history(entries)))
    rows = assessment.store.documents(facts.FACTS).values()
    for grade in range(GRADES):
        rolled_up = sum(row["minutes"][grade] for row in assessment.store.documents(facts.MINUTES).values())
        assert rolled_up == sum(row["minutes"] for row in rows if row["grade"] == grade)
    present = sum(row["entries"] for row in assessment.store.documents(facts.ATTENDED).values())
    assert present == sum(row["presence"] for row in rows if row["grade"] > 0)


COUNTS = st.integers(0, 5_000)


@given(st.none() | COUNTS, COUNTS, COUNTS, st.integers(0, 12), st.integers(0, 40))
def test_points_never_exceed_the_weights_nor_fall_below_zero(
    people: int | None, participants: int, hours: int, fields: int, stations: int
) -> None:
    inputs = Inputs(
        roll=people,
        window=QUARTER.months,
        participants=participants,
        minutes=60 * hours,
        minutes_by_grade=(0, 60 * hours, 0, 0),
        stations=tuple(f"station-{number}" for number in range(stations)),
        attended={},
        key_fields=frozenset(f"field-{number}" for number in range(fields)),
    )
    score = score_of("340802", QUARTER, RULES, inputs)
    assert 0 <= score.points <= score.weight <= sum(indicator.points for indicator in RULES.indicators)
    assert score.points == sum((row.points for row in score.indicators), Fraction(0))


@given(st.lists(st.fractions(0, 24), min_size=1, max_size=8))
def test_ranks_follow_the_points_and_only_equal_points_share_one(points: list[Fraction]) -> None:
    nobody = Inputs(None, QUARTER.months, 0, 0, (0, 0, 0, 0), (), {}, frozenset())
    blank = score_of("0", QUARTER, RULES, nobody)
    scores = [msgspec.structs.replace(blank, unit=str(number), points=each) for number, each in enumerate(points)]
    for rank, score in ranked(scores):
        assert rank == 1 + sum(other.points > score.points for other in scores)
