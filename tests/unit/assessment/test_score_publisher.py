"""The publisher: the open quarter's score of a unit goes out when its facts have moved, and only then."""

from datetime import UTC, datetime

from services.assessment import wiring
from services.contracts.assessment import ScorePublished
from services.eventing import outbox
from services.eventing.relay import lease
from tests.support.ports import SetClock, make_ports
from tests.support.processing import Processing, announced
from tests.unit.assessment.test_assessment_over_http import entry, person, roll, unit

NOW = datetime(2026, 9, 20, tzinfo=UTC)


async def published(assessment: Processing, now: datetime = NOW) -> list[ScorePublished]:
    """Runs the due work once; what it announced."""
    ports = make_ports(assessment.store, clock=SetClock(now))
    ports.ids.made = len(assessment.store.documents(outbox.OUTBOX))  # type: ignore[attr-defined]  # ids stay unique
    guard = await lease.acquire(ports.store, ports.wall, "relay-1")
    assert guard is not None
    before = set(assessment.store.documents(outbox.OUTBOX))
    (work,) = wiring.due_work(ports)
    await work.run(now, guard)
    rows = assessment.store.documents(outbox.OUTBOX)
    return [envelope.data for key in rows if key not in before for envelope in announced(rows[key])]


async def prepared() -> Processing:
    """A unit with one entry."""
    assessment = await Processing(wiring).prepare()
    await assessment.store.prepare(lease.COLLECTIONS, ())
    await assessment.take(unit(), roll(300), person("v1"), entry())
    return assessment


async def test_score_is_published_once_for_the_facts_it_rests_on() -> None:
    assessment = await prepared()
    first, before = await published(assessment)
    assert before.period == "2026-Q2"
    assert (first.unit, first.period, first.revision, first.rule_set) == ("340802", "2026-Q3", 1, "2026-1")
    assert await published(assessment) == []


async def test_new_facts_make_a_new_revision() -> None:
    assessment = await prepared()
    first, before = await published(assessment)
    assert before.period == "2026-Q2"
    await assessment.take(entry(month=8))
    (second,) = await published(assessment)
    assert second.revision == 2
    assert second.points != first.points


async def test_new_quarter_is_published_without_new_facts() -> None:
    assessment = await prepared()
    await published(assessment)
    (next_quarter,) = await published(assessment, datetime(2026, 10, 1, tzinfo=UTC))
    assert (next_quarter.period, next_quarter.revision) == ("2026-Q4", 1)


async def test_late_facts_of_the_quarter_before_are_announced() -> None:
    assessment = await prepared()
    await published(assessment)
    october = datetime(2026, 10, 2, tzinfo=UTC)
    await published(assessment, october)
    await assessment.take(entry(month=9))
    late = {(each.period, each.revision) for each in await published(assessment, october)}
    assert late == {("2026-Q3", 2)}
