"""Makes a small run that went well by hand, what was acknowledged and what is found of it, for tests to spoil."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.chaos.evidence import Account, Appended, Evidence, Total
from tests.support.chaos.judge import judge
from tests.support.chaos.record import Record
from tests.support.chaos.town import ORGANISATION_ROWS, UNIT_ROWS, Place, person_row
from tests.support.oracle.crediting import credit

EIGHT = datetime(2026, 7, 1, tzinfo=UTC)
"""Eight in the morning, in Shanghai."""
AS_OF = EIGHT + timedelta(hours=5)
PERIOD = "2026-Q3"
SESSION = "SE-1"
AT_HOME = "340802"
ANNA, BERT = "340802000000", "340802000002"
ZEROS = [0, 0, 0, 0]
HOUR_OF_GRADE_2 = [0, 0, 60, 0]
ATTENDANCE, ENTRIES, VOLUNTEERS = "activities.attendance", "hours.entries", "registry.volunteers"


def minute(minutes: int) -> datetime:
    """So many minutes after eight."""
    return EIGHT + timedelta(minutes=minutes)


@dataclass
class Scene:
    """A record and the evidence beside it; tests spoil one of them and ask for the judgement."""

    record: Record = field(default_factory=Record)
    evidence: Evidence = field(default_factory=Evidence)
    killed: dict[str, int] = field(default_factory=dict)
    parked: int = 0
    may_fail: set[str] = field(default_factory=set)
    servers_away: bool = False

    def publish(self, topic: str, key: str, event_type: str, /, **data: Any) -> None:
        """Puts an event into its topic and into its owner's feed."""
        records, feed = self.evidence.topics.setdefault(topic, []), self.evidence.feeds.setdefault(_owner(topic), [])
        sequence = sum(each.key == key for each in records) + 1
        name = f"{topic} {key} {sequence}"
        event = {"id": name, "type": event_type, "subject": key, "sequence": f"{sequence:012d}", "data": data}
        value = json.dumps(event).encode()
        self.append(topic, Appended(0, 0, key, sequence, name, event_type, value))
        feed.append(event)

    def append(self, topic: str, record: Appended) -> None:
        """Puts a record behind the others of its partition."""
        records = self.evidence.topics[topic]
        offset = sum(each.partition == record.partition for each in records)
        records.append(record._replace(offset=offset))

    def drop(self, topic: str, event_type: str, key: str) -> None:
        """Takes an event of a type and key away, as if it had never been published."""
        records = self.evidence.topics[topic]
        (gone,) = [each for each in records if each.type == event_type and each.key == key]
        records.remove(gone)
        feed = self.evidence.feeds[_owner(topic)]
        feed[:] = [event for event in feed if event["id"] != gone.id]
        records[:] = [each._replace(offset=offset) for offset, each in enumerate(records)]

    def change_account(self, number: str, **changes: Any) -> None:
        """Changes what hours shows of a person."""
        identity = self.record.ids[number]
        self.evidence.accounts[identity] = self.evidence.accounts[identity]._replace(**changes)

    def faults(self) -> set[str]:
        """The codes of what the judge finds."""
        found = judge(
            self.record,
            self.evidence,
            as_of=AS_OF,
            period=PERIOD,
            killed=self.killed,
            parked=self.parked,
            may_fail=self.may_fail,
            servers_away=self.servers_away,
        )
        return {fault.partition(":")[0] for fault in found}


def _owner(topic: str) -> str:
    return topic.partition(".")[0]


def went_well() -> Scene:
    """Anna came for an hour, Bert came and has not left; Anna's record was changed once."""
    made = Scene()
    _lists(made)
    _attendances(made)
    _accounts(made)
    return made


def _lists(scene: Scene) -> None:
    record, evidence = scene.record, scene.evidence
    record.model.took_list("units", UNIT_ROWS)
    record.model.took_list("organisations", ORGANISATION_ROWS)
    for organisation, _, _, unit, *_ in ORGANISATION_ROWS:
        record.organisations.add(organisation)
        evidence.organisations.append(organisation)
        kind = "registry.organisation.registered.v1"
        scene.publish("registry.organisations", organisation, kind, organisation_id=organisation, unit=unit)
    record.took_roll(AT_HOME, "2026-06-30", 400)
    evidence.rolls[AT_HOME, "2026-06-30"] = 400
    kind = "registry.roll.recorded.v1"
    scene.publish("registry.organisations", AT_HOME, kind, unit=AT_HOME, as_of="2026-06-30", people=400)
    record.took_people([person_row(0), person_row(2)])
    for number in (ANNA, BERT):
        record.ids[number] = f"id of {number}"
        scene.publish(VOLUNTEERS, record.ids[number], "registry.volunteer.registered.v1", number=number)
        row = {"number": number, "volunteer_id": record.ids[number], "channel": "unit_recommendation", "version": 1}
        evidence.people.append(row)
    record.edited(ANNA, "online")
    scene.publish(VOLUNTEERS, record.ids[ANNA], "registry.volunteer.updated.v1", number=ANNA)
    evidence.people[0] |= {"channel": "online", "version": 2}
    place = Place(SESSION, "now", AT_HOME, EIGHT, minute(120), 10)
    record.model.took_list("activities", [place.row("health_care")])
    scene.publish("activities.activities", "AC-1", "activities.session.published.v1", session={"session_id": SESSION})


def _attendances(scene: Scene) -> None:
    record, evidence = scene.record, scene.evidence
    anna, bert = record.ids[ANNA], record.ids[BERT]
    record.model.signed_up(ANNA, SESSION)
    scene.publish(ATTENDANCE, anna, "activities.attendance.signed_up.v1", **_about(anna))
    evidence.sign_ups[SESSION] = [anna]
    record.model.came(ANNA, SESSION, minute(30), 2)
    scene.publish(ATTENDANCE, anna, "activities.attendance.checked_in.v1", **_about(anna), at=minute(30).isoformat())
    record.model.left(ANNA, SESSION, minute(90), 2)
    scene.publish(ATTENDANCE, anna, "activities.attendance.checked_out.v1", **_about(anna), at=minute(90).isoformat())
    record.model.came(BERT, SESSION, minute(10), 1)
    scene.publish(ATTENDANCE, bert, "activities.attendance.checked_in.v1", **_about(bert), at=minute(10).isoformat())
    evidence.present[SESSION] = [(anna, "left"), (bert, "present")]


def _about(volunteer: str) -> dict[str, Any]:
    return {"volunteer_id": volunteer, "session": {"session_id": SESSION}}


def entry(volunteer: str, minutes: int, grade: int = 2, kind: str = "credit") -> dict[str, Any]:
    """What an entry says."""
    when = {"service_date": "2026-07-01", "booking_month": "2026-07", "home_unit": AT_HOME}
    return {"volunteer_id": volunteer, "session_id": SESSION, "kind": kind, "minutes": minutes, "grade": grade, **when}


def _accounts(scene: Scene) -> None:
    record, evidence = scene.record, scene.evidence
    anna, bert = record.ids[ANNA], record.ids[BERT]
    scene.publish(ENTRIES, anna, "hours.entry.posted.v1", **entry(anna, 60))
    evidence.accounts[anna] = Account(HOUR_OF_GRADE_2, set(), holds=True, entries=1)
    evidence.accounts[bert] = Account(ZEROS, {(SESSION, 110)}, holds=True, entries=0)
    evidence.shown_by_registry[anna] = HOUR_OF_GRADE_2
    evidence.totals[AT_HOME, "2026-07"] = Total(HOUR_OF_GRADE_2, 1)
    scores = record.model.scores(credit(record.model.attendances(), AS_OF), PERIOD)
    evidence.points = {unit: score.points for unit, score in scores.items()}
    evidence.ends = {(topic, 0): len(records) for topic, records in evidence.topics.items()}
    read = [("hours", (ATTENDANCE, 0)), ("assessment", (ENTRIES, 0)), ("hours", (VOLUNTEERS, 0))]
    evidence.positions = {(processor, place): evidence.ends[place] for processor, place in read}
    evidence.committed = dict(evidence.positions)
