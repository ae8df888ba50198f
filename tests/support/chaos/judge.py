"""Judges what is left after a run by what was acknowledged: every command once, every minute right, nothing else."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tests.support.chaos.evidence import Evidence
from tests.support.chaos.record import Record
from tests.support.chaos.streams import faults_of_feed, faults_of_positions, faults_of_topic, first_ones
from tests.support.oracle.crediting import GRADES, Ledger, credit

ZEROS: Final = [0] * GRADES
KILLED: Final = "terminated by SIGKILL"
FAILED: Final = "exit status 75"
WAITED: Final = "exit status 69"
CHECKED_IN: Final = "activities.attendance.checked_in.v1"
CHECKED_OUT: Final = "activities.attendance.checked_out.v1"
SIGNED_UP: Final = "activities.attendance.signed_up.v1"


def judge(
    record: Record,
    evidence: Evidence,
    *,
    as_of: datetime,
    period: str,
    killed: Mapping[str, int],
    parked: int = 0,
    may_fail: Collection[str] = (),
    servers_away: bool = False,
) -> list[str]:
    """Everything that is not as it must be, each as ``code: what``; nothing if all is well.

    ``as_of``: when it was looked; ``period``: the quarter of the scores; ``killed``: how often which process was;
    ``parked``: so many records must be; ``may_fail``: services whose processes may have ended for what nobody expects;
    ``servers_away``: whether a process that started may have waited in vain.
    """
    log = Log(evidence)
    ledger = credit(record.model.attendances(), as_of)
    return [
        *record.contradictions,
        *(fault for topic, records in evidence.topics.items() for fault in faults_of_topic(topic, records)),
        *(
            fault
            for service, feed in evidence.feeds.items()
            for fault in faults_of_feed(service, feed, evidence.topics)
        ),
        *faults_of_positions(evidence),
        *_faults_of_commands(record, log),
        *_faults_of_registry(record, evidence),
        *_faults_of_presence(record, evidence),
        *_faults_of_accounts(record, evidence, ledger, log),
        *_faults_of_totals(evidence, ledger, log),
        *_faults_of_points(record, evidence, ledger, period),
        *_faults_of_processes(evidence, killed, may_fail, servers_away=servers_away),
        *_differs("parked", "all processors together", evidence.parked, parked),
    ]


class Log:
    """The events of all topics without repeats, by type."""

    def __init__(self, evidence: Evidence) -> None:
        self._by_type: dict[str, list[Any]] = defaultdict(list)
        for records in evidence.topics.values():
            for each in first_ones(records):
                if each.is_poison:
                    continue
                self._by_type[each.type].append(each.data)

    def of(self, kind: str) -> list[Any]:
        """What the events of a type say."""
        return self._by_type[kind]


def _counted(code: str, must: Iterable[Any], are: Iterable[Any]) -> Iterator[str]:
    """What was acknowledged and is not there (lost), and what is there more often than acknowledged (doubled)."""
    wanted, found = Counter(iter(must)), Counter(iter(are))  # of a mapping a Counter would take the values as counts
    yield from (f"{code}_lost: {each}" for each in (wanted - found))
    yield from (f"{code}_doubled: {each}" for each in (found - wanted))


def _faults_of_commands(record: Record, log: Log) -> Iterator[str]:
    """Every acknowledged command has announced its facts exactly once, and nobody else's facts were announced."""
    model, numbers = record.model, record.ids
    for kind, ends in ((CHECKED_IN, model.check_ins), (CHECKED_OUT, model.check_outs)):
        must = [(numbers[person], session, end.at) for (person, session), end in ends.items()]
        yield from _counted(kind, must, (_end(event) for event in log.of(kind)))
    signed = [(numbers[person], session) for session, held in model.sign_ups.items() for person in held]
    found = ((event["volunteer_id"], event["session"]["session_id"]) for event in log.of(SIGNED_UP))
    yield from _counted(SIGNED_UP, signed, found)
    published = (event["session"]["session_id"] for event in log.of("activities.session.published.v1"))
    yield from _counted("session", model.inputs.sessions, published)
    registered = (event["number"] for event in log.of("registry.volunteer.registered.v1"))
    yield from _counted("registration", model.inputs.volunteers, registered)
    yield from _counted(
        "edit", record.edits.elements(), (event["number"] for event in log.of("registry.volunteer.updated.v1"))
    )
    rolls = ((event["unit"], event["as_of"], event["people"]) for event in log.of("registry.roll.recorded.v1"))
    yield from _counted("roll", ((*key, people) for key, people in record.rolls.items()), rolls)
    founded = (event["organisation_id"] for event in log.of("registry.organisation.registered.v1"))
    yield from _counted("organisation", record.organisations, founded)


def _end(event: Any) -> tuple[str, str, datetime]:
    return event["volunteer_id"], event["session"]["session_id"], datetime.fromisoformat(event["at"])


def _faults_of_registry(record: Record, evidence: Evidence) -> Iterator[str]:
    """Registry lists what it has acknowledged, each person once and as they were changed last."""
    yield from _counted("listed", record.model.inputs.volunteers, (row["number"] for row in evidence.people))
    for row in evidence.people:
        if record.channels.get(row["number"], row["channel"]) != row["channel"]:
            yield f"edit_forgotten: {row['number']} has {row['channel']}"
        if row["version"] != 1 + record.edits[row["number"]]:
            yield f"version: {row['number']} is at {row['version']} after {record.edits[row['number']]} edits"
    yield from _counted("listed_organisation", record.organisations, evidence.organisations)
    yield from _counted("listed_roll", record.rolls.items(), evidence.rolls.items())


def _faults_of_presence(record: Record, evidence: Evidence) -> Iterator[str]:
    """Activities lists who came, who has left and who holds a place."""
    model, numbers = record.model, record.ids
    came = [(session, numbers[person], _state(record, person, session)) for person, session in model.check_ins]
    listed = ((session, *each) for session, people in evidence.present.items() for each in people)
    yield from _counted("presence", came, listed)
    places = [(session, numbers[person]) for session, held in model.sign_ups.items() for person in held]
    held = ((session, person) for session, people in evidence.sign_ups.items() for person in people)
    yield from _counted("place", places, held)


def _state(record: Record, person: str, session: str) -> str:
    return "left" if (person, session) in record.model.check_outs else "present"


@dataclass(slots=True)
class Entries:
    """What the entries of one volunteer come to. ``standing``: entries less reversals, by session, month and grade."""

    count: int
    by_grade: list[int]
    standing: Counter[tuple[str, str, int]]


def _entries(events: Iterable[Any]) -> dict[str, Entries]:
    found: dict[str, Entries] = defaultdict(lambda: Entries(0, [0] * GRADES, Counter()))
    for event in events:
        each = found[event["volunteer_id"]]
        each.count += 1
        each.by_grade[event["grade"]] += event["minutes"]
        key = (event["session_id"], event["service_date"][:7], event["grade"])
        each.standing[key] += -1 if event["kind"] == "reversal" else 1
    return dict(found)


def _faults_of_accounts(record: Record, evidence: Evidence, ledger: Ledger, log: Log) -> Iterator[str]:
    """Every account holds the minutes that follow from the acknowledged commands, and its chain verifies."""
    entries = _entries(log.of("hours.entry.posted.v1"))
    present: dict[str, set[tuple[str, str, int]]] = defaultdict(set)
    for person, session, month, grade in ledger.present:
        present[person].add((session, month, grade))
    for person in record.model.inputs.volunteers:
        number = record.ids[person]
        account, posted = evidence.accounts.get(number), entries.get(number, Entries(0, ZEROS, Counter()))
        must = ledger.accounts.get(person, ZEROS)
        if account is None:
            yield f"account_missing: {person}"
            continue
        yield from _differs("balance", person, account.by_grade, must)
        yield from _differs("entries", person, posted.by_grade, must)
        pending = {(session, most) for (who, session), most in ledger.pending.items() if who == person}
        yield from _differs("pending", person, account.pending, pending)
        standing = {key for key, count in posted.standing.items() if count > 0}
        yield from _differs("standing", person, standing, present[person])
        if not account.holds:
            yield f"chain: {person}'s does not verify"
        yield from _differs("chain_length", person, account.entries, posted.count)
        yield from _differs("registry", person, evidence.shown_by_registry.get(number, must), must)


def _differs(code: str, what: object, shown: object, must: object) -> Iterator[str]:
    if shown != must:
        yield f"{code}: {what} has {shown}, must have {must}"


def _faults_of_totals(evidence: Evidence, ledger: Ledger, log: Log) -> Iterator[str]:
    """Every unit's month is the sum of its people's minutes, and of its entries."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * GRADES)
    counts: Counter[tuple[str, str]] = Counter()
    for event in log.of("hours.entry.posted.v1"):
        key = (event["home_unit"], event["booking_month"])
        sums[key][event["grade"]] += event["minutes"]
        counts[key] += 1
    for key in sorted(evidence.totals.keys() | ledger.unit_months.keys() | sums.keys()):
        total = evidence.totals.get(key)
        by_grade = ZEROS if total is None else total.by_grade
        yield from _differs("unit_month", key, by_grade, ledger.unit_months.get(key, ZEROS))
        yield from _differs("unit_month_sum", key, by_grade, sums.get(key, ZEROS))
        yield from _differs("unit_month_entries", key, 0 if total is None else total.entries, counts[key])


def _faults_of_points(record: Record, evidence: Evidence, ledger: Ledger, period: str) -> Iterator[str]:
    must = {unit: score.points for unit, score in record.model.scores(ledger, period).items()}
    yield from _differs("points", period, evidence.points, must)


def _faults_of_processes(
    evidence: Evidence, killed: Mapping[str, int], may_fail: Collection[str], *, servers_away: bool
) -> Iterator[str]:
    """No process ended but by being killed, because its database answered with errors that nobody expects, or because
    a server that was away did not come back in time for it to start.
    """
    must = Counter({f"{name} {KILLED}": times for name, times in killed.items()})
    for each, times in (evidence.ended - must).items():
        failed = each.endswith(FAILED) and each.partition("-")[0] in may_fail
        if not failed and not (each.endswith(WAITED) and servers_away):
            yield f"ended: {each}, {times} times unasked"
