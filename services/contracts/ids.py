"""Names the ids and small value types that services exchange."""

from datetime import datetime
from typing import Annotated, Literal, NewType

from msgspec import Meta

EventId = NewType("EventId", str)
"""Identifies one event for ever: a UUIDv7 for a command's event, a SHA-256 based name for a processor's."""
VolunteerId = NewType("VolunteerId", str)
VolunteerNumber = NewType("VolunteerNumber", str)
"""The number printed on a volunteer's card (志愿者编号); ours, never a citizen id number."""
OrganisationId = NewType("OrganisationId", str)
UnitCode = NewType("UnitCode", str)
"""Six digits of the area table, for example ``340802``."""
ActivityId = NewType("ActivityId", str)
SessionId = NewType("SessionId", str)
AttendanceId = NewType("AttendanceId", str)
EntryId = NewType("EntryId", str)
ActorId = NewType("ActorId", str)
"""Who entered, approved or proved something: a person's, device's, station's or organisation's id."""
Month = NewType("Month", str)
"""A calendar month of Asia/Shanghai as ``YYYY-MM``."""

Instant = Annotated[datetime, Meta(tz=True)]
"""A moment as RFC 3339 with an offset; one without is refused."""
Count = Annotated[int, Meta(ge=0)]
Places = Annotated[int, Meta(ge=1, le=10_000)]
MinutesOfDay = Annotated[int, Meta(ge=-1440, le=1440)]
"""Minutes that one entry moves: never more than a day's, negative in a reversal."""
GraceMinutes = Annotated[int, Meta(ge=0, le=240)]

Grade = Literal[0, 1, 2, 3]
"""The evidence grade of an entry, as in the glossary."""
GRADES = 4
"""How many grades there are: minutes by grade are lists of this length."""
AreaSystem = Literal["gbt2260", "statistics", "own"]
OrganisationKind = Literal["department", "branch", "station", "team", "brand"]
AgeBand = Literal["under_60", "60s", "70_74", "75_79", "80_and_over"]
Channel = Literal["unit_recommendation", "community", "online"]
VolunteerState = Literal["active", "paused", "left"]
ServiceType = Literal[
    "community",
    "poverty_relief",
    "education_support",
    "health",
    "legal",
    "environment",
    "science",
    "culture",
    "public_safety",
    "civility",
    "traffic",
    "fire",
    "emergency",
    "drug_prevention",
    "sports",
    "tourism",
    "special_care",
    "major_events",
    "overseas",
    "tax",
    "epidemic",
    "other",
]
"""Our stable slugs of the 22 national service types, in the national order."""
KeyField = Literal[
    "party_history",
    "youth_care",
    "community_governance",
    "health_care",
    "legal_aid",
    "science_education",
    "agriculture",
    "culture_arts",
    "elder_care",
    "civility",
    "environment",
    "mediation",
]
"""The 12 key fields (重点领域); the source names few, so the others are placeholders that a city replaces."""
