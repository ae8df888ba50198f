"""Runs activities in memory: its processor, its API, its clock; builds its rules' values with defaults."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from functools import cache
from itertools import count
from typing import Any

from services.activities import wiring
from services.activities.attendance.rules import Attendance, End, attendance_id_of
from services.activities.codes.rules import one_time_code, station_code
from services.activities.people.rules import Volunteer
from services.activities.programme.rules import Activity, Session, SessionPlan, session_of
from services.activities.programme.store import SESSIONS, session_document
from services.activities.settings import secret_of
from services.contracts.event import Envelope, Event
from services.contracts.ids import (
    ActivityId,
    ActorId,
    OrganisationId,
    OrganisationKind,
    SessionId,
    UnitCode,
    VolunteerId,
    VolunteerNumber,
    VolunteerState,
)
from services.contracts.registry import OrganisationRegistered, UnitRegistered, VolunteerRegistered, VolunteerUpdated
from services.eventing.outbox import OUTBOX
from services.runtime import commands
from tests.support.asgi import Answer, call
from tests.support.documented import check_documented
from tests.support.memory_store import MemoryStore
from tests.support.ports import SetClock, make_ports
from tests.support.processing import Processing, announced
from tests.support.tokens import bearer, http_settings

SHANGHAI = timezone(timedelta(hours=8))
SECRET = secret_of(http_settings())
UNIT = UnitCode("340802")
OTHER_UNIT = UnitCode("340803")
TEAM = OrganisationId("TM-340802-07")
STATION = OrganisationId("ST-340802-03")
BRAND = OrganisationId("BR-340802-01")
ALL_SCOPES = ("activities.read", "activities.write", "attendance.write", "attendance.back_office", "stations.code")


def at(hour: int, minute: int = 0, *, day: int = 14, second: int = 0) -> datetime:
    """A moment of July 2026 in Shanghai; hours of 24 and more lie on the next day."""
    return datetime(2026, 7, day, tzinfo=SHANGHAI) + timedelta(hours=hour, minutes=minute, seconds=second)


def an_activity(number: str = "AC-1", **changes: Any) -> Activity:
    """A draft that everybody in 340802 may plan."""
    usual: dict[str, Any] = {
        "title": "银龄义诊",
        "unit_served": UNIT,
        "organiser_id": TEAM,
        "brand_id": None,
        "service_type": "health",
        "key_field": "health_care",
    }
    return Activity(activity_id=ActivityId(number), **{**usual, **changes})


def a_plan(
    number: str = "SE-1",
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    *,
    station: OrganisationId | None = STATION,
    capacity: int = 20,
) -> SessionPlan:
    """From 9 to 11 on 14 July, at a station, unless said otherwise."""
    return SessionPlan(
        session_id=SessionId(number),
        starts_at=starts_at or at(9),
        ends_at=ends_at or at(11),
        station_id=station,
        capacity=capacity,
    )


def a_session(
    number: str = "SE-1", starts_at: datetime | None = None, ends_at: datetime | None = None, **changes: Any
) -> Session:
    """A published session of the usual activity."""
    station, capacity = changes.pop("station", STATION), changes.pop("capacity", 20)
    plan = a_plan(number, starts_at, ends_at, station=station, capacity=capacity)
    session = session_of(plan, an_activity(**changes))
    return session.as_published()


def a_volunteer(number: int = 1, *, state: VolunteerState = "active", home_unit: str = UNIT) -> Volunteer:
    """Volunteer ``V-1`` with the card ``N-1``."""
    return Volunteer(
        volunteer_id=VolunteerId(f"V-{number}"),
        number=VolunteerNumber(f"N-{number}"),
        home_unit=UnitCode(home_unit),
        state=state,
    )


def an_end(moment: datetime) -> End:
    """One end that a leader's word proves."""
    return End(
        at=moment,
        accepted_at=moment,
        proofs=(),
        entered_by=ActorId("leader"),
        approved_by=None,
        entry_mode="live",
        batch_id=None,
    )


def present(session: Session, volunteer: Volunteer, since: datetime, until: datetime | None = None) -> Attendance:
    """Who came, and has left again if ``until`` is given."""
    return Attendance(
        attendance_id=attendance_id_of(session.facts.session_id, volunteer.volunteer_id),
        session_id=session.facts.session_id,
        volunteer_id=volunteer.volunteer_id,
        home_unit=volunteer.home_unit,
        unit_served=session.facts.unit_served,
        starts_at=session.facts.starts_at,
        check_in=an_end(since),
        check_out=None if until is None else an_end(until),
    )


def unit_registered(unit: str = UNIT) -> UnitRegistered:
    """A row of the area table."""
    return UnitRegistered(unit=UnitCode(unit), system="gbt2260", name="某区", parent=None, valid_from=date(2020, 1, 1))


def organisation_registered(number: str, kind: OrganisationKind, unit: str = UNIT) -> OrganisationRegistered:
    """An organisation of a unit."""
    return OrganisationRegistered(
        organisation_id=OrganisationId(number),
        kind=kind,
        name="某组织",
        unit=UnitCode(unit),
        parent_id=None,
        since=date(2020, 1, 1),
    )


def volunteer_registered(number: int = 1, *, home_unit: str = UNIT) -> VolunteerRegistered:
    """Registry's event of volunteer ``V-1`` with the card ``N-1``."""
    return VolunteerRegistered(**_volunteer_fields(number, "active", home_unit))


def volunteer_updated(number: int = 1, *, state: VolunteerState = "active", home_unit: str = UNIT) -> VolunteerUpdated:
    """Registry's event of a change of volunteer ``V-1``."""
    return VolunteerUpdated(**_volunteer_fields(number, state, home_unit))


def _volunteer_fields(number: int, state: VolunteerState, home_unit: str) -> dict[str, Any]:
    return {
        "volunteer_id": VolunteerId(f"V-{number}"),
        "number": VolunteerNumber(f"N-{number}"),
        "home_unit": UnitCode(home_unit),
        "retired_cadre": True,
        "age_band": "70_74",
        "channel": "community",
        "registered_on": date(2026, 1, 5),
        "state": state,
        "teams": (),
    }


def code_now(moment: datetime, station: OrganisationId = STATION) -> str:
    """What the station's display shows."""
    return station_code(SECRET, station, moment).code


def slip(serial: int, session: str = "SE-1") -> str:
    """The code on a slip of a session."""
    return one_time_code(SECRET, SessionId(session), serial)


@cache
def described() -> dict[str, Any]:
    """The OpenAPI document, which is the same for every world."""
    return wiring.build_api(make_ports(MemoryStore()), http_settings()).openapi()


EVERY_SERVICES = ("/v1/operations/", "/v1/event-tickets", "/v1/events")


def own_paths() -> dict[str, Any]:
    """The document's paths without those that every service has, which tests/unit/runtime asks."""
    return {path: each for path, each in described()["paths"].items() if not path.startswith(EVERY_SERVICES)}


class World:
    """Activities in memory, as its neighbours see it: registry's events go in, HTTP in and out, events come out."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.processing = Processing(wiring, self.store)
        self.clock = SetClock(at(9))
        self.app = wiring.build_api(make_ports(self.store, clock=self.clock), http_settings())
        self._keys = count(1)
        self._seen: set[str] = set()

    async def prepare(self) -> "World":
        """Two units, a team, a station and a brand."""
        await self.processing.prepare()
        await self.store.prepare(commands.COLLECTIONS, commands.INDEXES)
        await self.tell(
            unit_registered(),
            unit_registered(OTHER_UNIT),
            organisation_registered(TEAM, "team"),
            organisation_registered(STATION, "station"),
            organisation_registered(BRAND, "brand"),
        )
        return self

    async def tell(self, *events: Event) -> None:
        """Lets the processor take in what registry published."""
        await self.processing.take(*events)

    async def register(self, *numbers: int, home_unit: str = UNIT) -> None:
        """Makes volunteers known."""
        await self.tell(*(volunteer_registered(number, home_unit=home_unit) for number in numbers))

    def put(self, *sessions: Session) -> None:
        """Makes sessions exist as another client would have planned them."""
        self.store.put(SESSIONS, *(session_document(session) for session in sessions))

    async def post(
        self,
        path: str,
        body: Any = None,
        *,
        scopes: Sequence[str] = ALL_SCOPES,
        area: str = "3408",
        subject: str = "leader-1",
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A command, with a new key unless one is given; its answer must be one that is documented."""
        sent = {**bearer(*scopes, area=area, subject=subject), "Idempotency-Key": key or f"key-{next(self._keys)}"}
        answer = await call(self.app, "POST", path, headers={**sent, **(headers or {})}, body=body)
        return check_documented(described(), "POST", path, answer)

    async def get(
        self, path: str, *, scopes: Sequence[str] = ALL_SCOPES, area: str = "3408", subject: str = "leader-1"
    ) -> Answer:
        """A read; its answer must be one that is documented."""
        answer = await call(self.app, "GET", path, headers=bearer(*scopes, area=area, subject=subject))
        return check_documented(described(), "GET", path, answer)

    def announced(self) -> list[Envelope[Any]]:
        """What was announced since this was asked last, in order of the outbox's documents."""
        rows = self.store.documents(OUTBOX)
        new = [row for row in rows if row not in self._seen]
        self._seen.update(new)
        return [envelope for row in new for envelope in announced(rows[row])]
