"""Makes records of the log as a relay would have published them, with defaults for all that a test does not mention."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from services.contracts.activities import ATTENDANCE, CheckedIn, SessionFacts
from services.contracts.event import Event
from services.contracts.ids import (
    ActivityId,
    ActorId,
    AttendanceId,
    EventId,
    OrganisationId,
    SessionId,
    UnitCode,
    VolunteerId,
)
from services.eventing.facts import Fact
from services.eventing.outbox import messages_of, stage
from services.eventing.ports import Message, TopicPartition

NOON = datetime(2026, 7, 1, 4, tzinfo=UTC)
P0 = TopicPartition(ATTENDANCE, 0)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record as a client delivers it; keeps the port ``Record``."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp: int

    def at(self, offset: int) -> "LogRecord":
        """The same record at another offset, as a relay's repeat has it."""
        return replace(self, offset=offset)

    def with_headers(self, **changes: bytes | None) -> "LogRecord":
        """The same record with other headers; ``None`` takes one away."""
        changed = {**dict(self.headers), **changes}
        return replace(self, headers=tuple((name, value) for name, value in changed.items() if value is not None))


def check_in(key: str = "volunteer-1", *, batch_id: str | None = None, minute: int = 0) -> CheckedIn:
    """A check-in of the volunteer ``key``, all else made up."""
    session = SessionFacts(
        session_id=SessionId("session-1"),
        activity_id=ActivityId("activity-1"),
        starts_at=NOON,
        ends_at=NOON + timedelta(hours=2),
        grace_minutes=15,
        unit_served=UnitCode("340802"),
        organiser_id=OrganisationId("organiser-1"),
        station_id=None,
        service_type="community",
        key_field=None,
    )
    return CheckedIn(
        attendance_id=AttendanceId(f"attendance-of-{key}"),
        volunteer_id=VolunteerId(key),
        home_unit=UnitCode("340803"),
        session=session,
        at=NOON + timedelta(minutes=minute),
        proofs=(),
        entered_by=ActorId("leader-1"),
        approved_by=None,
        entry_mode="live",
        batch_id=batch_id,
    )


class Publisher:
    """Announces events as their owner would: ids and sequences per topic and key, in the order of the calls.

    ``name`` begins the ids, which no two publishers may share.
    """

    def __init__(self, name: str = "event") -> None:
        self._heads: dict[tuple[str, str], int] = {}
        self._name = name
        self._made = 0
        self.traceparent: str | None = None
        """The context of the request that the next events came of."""

    def messages(self, events: Iterable[Event]) -> list[Message]:
        """What the relay would append for these events."""
        facts = []
        for event in events:
            self._made += 1
            self._heads.setdefault((event.TOPIC, event.key), 0)
            identity, time = EventId(f"{self._name}-{self._made}"), NOON + timedelta(seconds=self._made)
            facts.append(Fact(identity, event, time, self.traceparent))
        return messages_of(stage(facts, self._heads, row_id="row", at=NOON))

    def records(self, events: Iterable[Event], *, partition: TopicPartition = P0, first: int = 0) -> list[LogRecord]:
        """The same as records of one partition, at consecutive offsets."""
        return [as_record(message, partition, first + i) for i, message in enumerate(self.messages(events))]


def as_record(message: Message, partition: TopicPartition, offset: int) -> LogRecord:
    """A message at its place in the log."""
    assert message.topic == partition.topic
    appended = int((NOON + timedelta(seconds=offset)).timestamp() * 1000)
    return LogRecord(*partition, offset, message.key, message.value, message.headers, appended)
