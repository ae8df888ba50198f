"""Plans what happens in a small city: lists, sessions, attendances through every door, and what is wrong with them."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from tests.support.simulation import plan as plans
from tests.support.simulation.clocks import EPOCH
from tests.support.simulation.plan import Command, Plan

SERVICES: Final = ("registry", "activities", "hours", "assessment")
NODES: Final = tuple(
    f"{service}.{kind}{i}" for service in SERVICES for kind in ("api", "processor", "relay") for i in (0, 1)
)
CITY: Final = "340800"
UNITS: Final = ("340802", "340803")
STATIONS: Final = {"340802": "ST-340802-01", "340803": "ST-340803-01"}
TEAMS: Final = {"340802": "TM-340802-01", "340803": "TM-340803-01"}
BRAND: Final = "BR-340802-01"
KEY_FIELDS: Final = ("health_care", "legal_aid", "agriculture", "")
PEOPLE: Final = (2, 4)
ATTENDANCES: Final = (3, 9)
UNTIL_S: Final = 17.0
WRONG: Final = 0.12
"""The share of attendances that break a rule."""
POISONED_SEEDS: Final = 0.2
COPIED: Final = 0.2
FOLLOWED: Final = 0.4
"""How often an integrator reads a service's change feed meanwhile."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A session of the plan; times in minutes from the beginning of the simulation."""

    id: str
    unit: str
    starts: float
    ends: float
    key_field: str
    capacity: int


@dataclass(slots=True)
class Draft:
    """A plan on its way."""

    rng: random.Random
    people: list[str] = field(default_factory=list)
    sessions: list[Planned] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    slips: int = 0

    def add(self, at: float, kind: str, body: dict[str, Any], *after: str) -> str:
        """One more command; its id."""
        name = f"{kind}-{len(self.commands):02d}"
        self.commands.append(Command(name, round(at, 3), kind, body, after))
        return name


def at(minutes: float) -> str:
    """An instant as clients write it: so many minutes from the beginning, with the city's offset."""
    local = EPOCH + timedelta(minutes=minutes, hours=8)
    return local.replace(tzinfo=None).isoformat(timespec="seconds") + "+08:00"


def instant(text: str) -> datetime:
    """The instant that ``at`` wrote."""
    return datetime.fromisoformat(text)


def make_plan(seed: int) -> Plan:
    """The plan of one seed."""
    rng = random.Random(f"platform {seed}")
    draft = Draft(rng)
    lists = _lists(draft)
    programme = _programme(draft, lists)
    _attendances(draft, programme, lists)
    if rng.random() < POISONED_SEEDS:
        draft.add(rng.uniform(2, UNTIL_S), "newer_event", {"person": rng.choice(draft.people)}, lists)
    return Plan(
        world="platform",
        seed=seed,
        partitions=rng.choice((1, 2, 2)),
        tight=rng.random() < plans.CALM_SEEDS,
        rates=plans.weather(rng),
        faults=plans.faults(rng, NODES, SERVICES, "broker"),
        commands=draft.commands,
    )


def _lists(draft: Draft) -> str:
    """Units, organisations, rolls and volunteers, one list after the other; the last command's id."""
    rng = draft.rng
    rows = [[CITY, "gbt2260", "某市", "", "2020-01-01"], *([u, "gbt2260", f"区{u}", CITY, "2020-01-01"] for u in UNITS)]
    last = draft.add(0.1, "import", {"list": "units", "rows": rows})
    places = [[number, "驿站", f"驿站{unit}", unit, "", "2024-05-01"] for unit, number in STATIONS.items()]
    places += [[number, "团队", f"团队{unit}", unit, "", "2024-05-01"] for unit, number in TEAMS.items()]
    places.append([BRAND, "品牌", "银龄", UNITS[0], "", "2024-05-01"])
    last = draft.add(0.2, "import", {"list": "organisations", "rows": places}, last)
    rolls = [[unit, "2026-03-31", str(rng.randrange(3, 900))] for unit in UNITS if rng.random() < 0.9]
    if rolls:
        draft.add(rng.uniform(0.3, UNTIL_S), "import", {"list": "roll", "rows": rolls}, last)
    people = [_person(draft, number) for number in range(rng.randint(*PEOPLE))]
    draft.people = [row[0] for row in people]
    cut = rng.randrange(1, len(people) + 1)
    first = draft.add(0.4, "import", {"list": "volunteers", "rows": people[:cut]}, last)
    for row in people[cut:]:
        draft.add(rng.uniform(0.5, 3), "register", {"row": row}, last)
    for service in SERVICES:
        if rng.random() < FOLLOWED:
            draft.add(rng.uniform(0, 5), "follow", {"service": service})
    return first


def _person(draft: Draft, number: int) -> list[str]:
    rng = draft.rng
    unit = rng.choice(UNITS)
    born = f"19{rng.randrange(40, 66)}0{rng.randrange(1, 10)}1{rng.randrange(10)}"
    return [
        f"V{unit}{number:05d}",
        rng.choice(("王建国", "李秀英", "张伟民")),
        "居民身份证",
        citizen_id(born, number),
        "1" if number % 2 else "2",
        f"{born[:4]}-{born[4:6]}-{born[6:]}",
        "01",
        "01",
        "" if rng.random() < 0.3 else f"138{number:08d}",
        unit,
        "",
        f"2025-0{rng.randrange(1, 10)}-11",
        "单位推荐",
        rng.choice(("是", "是", "否")),
        TEAMS[unit] if rng.random() < 0.5 else "",
    ]


def citizen_id(born: str, number: int) -> str:
    """A number of the form of a citizen id (GB 11643) that nobody has: its area code is not in use."""
    body = f"340899{born}{number:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11]


def _programme(draft: Draft, lists: str) -> str:
    """Sessions of yesterday that overlap, one over midnight, one that times out meanwhile, one now, one tomorrow."""
    rng = draft.rng
    yesterday = -rng.uniform(20 * 60, 22 * 60)
    spans = [
        (yesterday, yesterday + rng.choice((60, 90, 120))),
        (yesterday + rng.choice((0, 15, 30, 45)), yesterday + rng.choice((60, 100, 150))),
        (-rng.uniform(9, 11) * 60, -rng.uniform(5, 7) * 60),  # over midnight and, at this EPOCH, over a quarter's end
        (-24 * 60 - 90, -24 * 60 + rng.uniform(4, 14) / 60),  # its missed check-outs time out while the faults happen
        (-30, 90),
        (20 * 60, 22 * 60),
        (21 * 60, 23 * 60),
    ]
    chosen = [spans[0], spans[1], *rng.sample(spans[2:], rng.randint(1, 5))]
    for number, (starts, ends) in enumerate(chosen):
        key_field, capacity = rng.choice(KEY_FIELDS), rng.choice((1, 2, 20))
        draft.sessions.append(Planned(f"SE-{number}", rng.choice(UNITS), round(starts), ends, key_field, capacity))
    *listed, last = [_session_row(draft, each) for each in draft.sessions]
    if rng.random() < 0.5:
        return draft.add(0.5, "import_activities", {"rows": [*listed, last]}, lists)
    first = draft.add(0.5, "import_activities", {"rows": listed}, lists)
    return draft.add(0.6, "plan", {"row": last}, first)


def _session_row(draft: Draft, session: Planned) -> list[str]:
    station = STATIONS[session.unit] if draft.rng.random() < 0.8 else ""
    times = [at(session.starts), at(session.ends)]
    places = [f"AC-{session.id}", session.id, "义诊", TEAMS[session.unit], session.unit, station, ""]
    return [*places, "health", session.key_field, *times, str(session.capacity), "已发布"]


def _attendances(draft: Draft, programme: str, lists: str) -> None:
    rng = draft.rng
    pairs = [(person, session) for person in draft.people for session in draft.sessions if session.starts < 0]
    rng.shuffle(pairs)
    for person, session in pairs[: rng.randint(*ATTENDANCES)]:
        door = rng.choice((_live, _live, _kiosk, _kiosk, _roster, _back_office))
        door(draft, person, session, (programme, lists))
    _races(draft, (programme, lists))
    if rng.random() < 0.3:
        body = {"person": rng.choice(draft.people), "state": rng.choice(("paused", "left"))}
        draft.add(rng.uniform(4, UNTIL_S), "change_state", body, lists)


def _races(draft: Draft, after: tuple[str, ...]) -> None:
    """Sign-ups and attendances that want the same thing at the same time."""
    rng = draft.rng
    for _ in range(rng.randrange(4)):
        at_once = rng.uniform(1, UNTIL_S)
        session, person = rng.choice(draft.sessions), rng.choice(draft.people)
        wishes = rng.choice(
            (
                [(person, session)],
                [(each, session) for each in draft.people],
                [(person, each) for each in draft.sessions if each.ends > 0],
            )
        )
        for who, where in wishes:
            body = {"person": who, "session": where.id}
            draft.add(at_once + rng.uniform(0, 0.02), "sign_up", body, *after)
    if rng.random() < 0.3:
        person, session = rng.choice(draft.people), draft.sessions[0]
        at_once, came = rng.uniform(2, UNTIL_S), session.starts + 5
        span = {"person": person, "session": session.id, "from": at(came), "to": at(came + 20)}
        kiosk = {"person": person, "session": session.id, "action": "check_in", "at": at(came)}
        draft.add(at_once, "roster", {"rows": [{**span, "slip": None}]}, *after)
        draft.add(at_once + 0.005, "kiosk", {"rows": [{**kiosk, "method": "personal_card"}]}, *after)
        draft.add(at_once + 0.01, "roster", {"rows": [{**span, "slip": _slip(draft)}]}, *after)


def _times(draft: Draft, session: Planned) -> tuple[float, float]:
    """When somebody came and left: mostly within the window and the grace around it."""
    rng = draft.rng
    ends = min(session.ends, -1.0)
    came = rng.uniform(session.starts - 10, ends - 1)
    left = rng.uniform(came + 0.5, min(session.ends + 10, 0.0) if rng.random() < 0.5 else ends)
    if rng.random() < WRONG:
        came, left = rng.choice(((left, came), (session.starts - 40, left), (came, session.ends + 40)))
    return round(came * 60) / 60, round(left * 60) / 60


def _slip(draft: Draft) -> int:
    """The next slip's number, or now and then the last one's again, as if it had been copied."""
    if draft.slips == 0 or draft.rng.random() > COPIED:
        draft.slips += 1
    return draft.slips


def _live(draft: Draft, person: str, session: Planned, after: tuple[str, ...]) -> None:
    rng = draft.rng
    came, left = _times(draft, session)
    now = session.ends > 0 and rng.random() < 0.7
    ends = []
    for minute in (came, left):
        methods = ("leader_list", "self_report", "personal_card", "one_time_code", *(("station_code",) if now else ()))
        method = rng.choice(methods)
        proof = {"method": method, "slip": _slip(draft)} if method == "one_time_code" else {"method": method}
        ends.append({"person": person, "session": session.id, "at": None if now else at(minute), "proof": proof})
    sent = rng.uniform(1, UNTIL_S - 2)
    first = draft.add(sent, "check_in", ends[0], *after)
    if rng.random() < 0.8:
        draft.add(sent + rng.uniform(0, 5), "check_out", ends[1], *after, *((first,) if rng.random() < 0.9 else ()))
    if rng.random() < 0.1:
        draft.add(sent + rng.uniform(0, 1), "check_in", ends[0], *after)


def _kiosk(draft: Draft, person: str, session: Planned, after: tuple[str, ...]) -> None:
    """One or two batches of a kiosk: both ends in one, or the second end later, or never."""
    rng = draft.rng
    came, left = _times(draft, session)
    rows = [
        {"person": person, "session": session.id, "action": action, "at": at(minute), "method": "personal_card"}
        for action, minute in (("check_in", came), ("check_out", left))
    ]
    others = [each for each in draft.people if each != person]
    sent = rng.uniform(1, UNTIL_S - 3)
    choice = rng.random()
    if choice < 0.5:
        if others and rng.random() < 0.4:
            rows += [{**row, "person": others[0]} for row in rows]
        draft.add(sent, "kiosk", {"rows": rows}, *after)
        return
    first = draft.add(sent, "kiosk", {"rows": rows[:1]}, *after)
    if choice < 0.85:
        draft.add(sent + rng.uniform(0, 8), "kiosk", {"rows": rows[1:]}, *after, first)


def _roster(draft: Draft, person: str, session: Planned, after: tuple[str, ...]) -> None:
    rng = draft.rng
    came, left = _times(draft, session)
    slip = _slip(draft) if rng.random() < 0.5 else None
    rows = [{"person": person, "session": session.id, "from": at(came), "to": at(left), "slip": slip}]
    if rng.random() < 0.2:
        rows.append({**rows[0], "slip": None})
    draft.add(rng.uniform(1, UNTIL_S), "roster", {"rows": rows}, *after)


def _back_office(draft: Draft, person: str, session: Planned, after: tuple[str, ...]) -> None:
    came, left = _times(draft, session)
    body = {"person": person, "session": session.id, "from": at(came), "to": at(left)}
    same = draft.rng.random() < 0.1
    draft.add(draft.rng.uniform(1, UNTIL_S - 2), "back_office", {**body, "same_clerk": same}, *after)
