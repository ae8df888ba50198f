"""Shapes what volunteers' records take and answer over HTTP: masked, unless somebody asks for more with a reason."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.ids import AgeBand, Channel, VolunteerState
from services.registry.deliveries.rules import Served
from services.registry.personal import rules
from services.registry.personal.rules import ADDRESS_CHARACTERS_MAX, IdType, Personal, Sex
from services.registry.volunteers.rules import NUMBER, TEAMS_MAX, Volunteer

UNIT_PATTERN = r"^[0-9]{6}$"
NUMBER_PATTERN = f"^{NUMBER.pattern}$"
TEXT_CHARACTERS_MAX = 64
Reason = Literal["identity_check", "contact", "certificate", "insurance", "correction", "emergency", "legal_request"]
"""Why somebody wants to see what is personal. Fixed words: the reason is logged, and logs hold no free text."""

Text = Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
Address = Annotated[str, Field(min_length=1, max_length=ADDRESS_CHARACTERS_MAX)]
UnitText = Annotated[str, Field(pattern=UNIT_PATTERN)]
Teams = Annotated[tuple[Text, ...], Field(max_length=TEAMS_MAX)]

NOBODY: Any = {
    "name": "甄银龄",
    "id_type": "resident_id",
    "id_number": "349901195603020014",
    "sex": "1",
    "birth_date": "1956-03-02",
    "political_status": "01",
    "ethnic_group": "01",
    "mobile": "15401000012",
    "address": "迎江区晚晴路7号",
}
"""An example that can be nobody: no area begins with 3499, and no operator has 154."""


class PersonalBody(BaseModel):
    """What identifies a volunteer; stored encrypted, in no event, in no log."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, json_schema_extra={"examples": [NOBODY]}
    )

    name: Text
    id_type: IdType = Field(default="resident_id", description="居民身份证; no other papers yet.")
    id_number: Text = Field(description="18 characters (GB 11643); check digit, birth date and sex must agree.")
    sex: Sex = Field(description="GB/T 2261.1: 0 unknown, 1 male, 2 female, 9 unstated.")
    birth_date: date
    political_status: Text = Field(description="GB/T 4762, two digits.")
    ethnic_group: Text = Field(description="GB/T 3304, two digits.")
    mobile: Text | None = None
    address: Address | None = None

    def parsed(self) -> Personal:
        """As the rules take it."""
        return Personal(
            name=self.name,
            id_type=self.id_type,
            id_number=self.id_number.upper(),
            sex=self.sex,
            birth_date=self.birth_date,
            political_status=self.political_status,
            ethnic_group=self.ethnic_group,
            mobile=self.mobile,
            address=self.address,
        )


class VolunteerBody(BaseModel):
    """A person to be registered as a volunteer."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "number": "340802000012",
                    "home_unit": "340802",
                    "retired_cadre": True,
                    "channel": "unit_recommendation",
                    "registered_on": "2024-03-05",
                    "teams": ["TM-340802-007"],
                    "personal": NOBODY,
                }
            ]
        },
    )

    number: Text = Field(description="The number on the volunteer's card (志愿者编号), for life.")
    home_unit: UnitText
    retired_cadre: bool
    channel: Channel
    registered_on: date
    teams: Teams = ()
    personal: PersonalBody


def _unset() -> Any:
    """Stands for a field that was not sent; a schema default of null would say that null may be sent."""
    return None


class VolunteerChanges(BaseModel):
    """What is to be changed of a volunteer; what is not sent stays, null clears mobile or address."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"mobile": "15401000013", "teams": []}]},
    )

    home_unit: UnitText = Field(default_factory=_unset)
    retired_cadre: bool = Field(default_factory=_unset)
    channel: Channel = Field(default_factory=_unset)
    registered_on: date = Field(default_factory=_unset)
    teams: Teams = Field(default_factory=_unset)
    state: VolunteerState = Field(default_factory=_unset)
    name: Text = Field(default_factory=_unset)
    id_number: Text = Field(default_factory=_unset)
    sex: Sex = Field(default_factory=_unset)
    birth_date: date = Field(default_factory=_unset)
    political_status: Text = Field(default_factory=_unset)
    ethnic_group: Text = Field(default_factory=_unset)
    mobile: Text | None = Field(default_factory=_unset)
    address: Address | None = Field(default_factory=_unset)


class VolunteerRegisteredAnswer(BaseModel):
    """What registering a volunteer answers: our id, and nothing personal."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"volunteer_id": "0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70", "version": 1}]},
    )

    volunteer_id: str
    version: int


class VolunteerEdited(VolunteerRegisteredAnswer):
    """What an edit of a volunteer came to."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [{"volunteer_id": "0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70", "version": 2, "changed": True}]
        },
    )

    changed: bool = Field(description="False if all that was said was known.")


class Masked(BaseModel):
    """As much of a person as a list shows."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="The first character: `王**`.")
    id_number: str
    mobile: str | None

    @classmethod
    def of(cls, personal: Personal) -> "Masked":
        """From a person's data."""
        return cls(
            name=rules.mask_name(personal.name),
            id_number=rules.mask_id_number(personal.id_number),
            mobile=rules.mask_mobile(personal.mobile),
        )


class Revealed(BaseModel):
    """A person's data in full."""

    model_config = ConfigDict(frozen=True)

    name: str
    id_type: IdType
    id_number: str
    sex: Sex
    birth_date: date
    political_status: str
    ethnic_group: str
    mobile: str | None
    address: str | None

    @classmethod
    def of(cls, personal: Personal) -> "Revealed":
        """From a person's data."""
        return cls(**{field: getattr(personal, field) for field in cls.model_fields})


_LISTED: Any = {
    "volunteer_id": "0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70",
    "number": "340802000012",
    "home_unit": "340802",
    "state": "active",
    "retired_cadre": True,
    "age_band": "70_74",
    "channel": "unit_recommendation",
    "registered_on": "2024-03-05",
    "teams": ["TM-340802-007"],
    "masked": {"name": "甄**", "id_number": "349*************14", "mobile": "154****0012"},
    "version": 1,
}


class VolunteerRow(BaseModel):
    """A volunteer as lists show one."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_LISTED]})

    volunteer_id: str
    number: str
    home_unit: str
    state: VolunteerState
    retired_cadre: bool
    age_band: AgeBand
    channel: Channel
    registered_on: date
    teams: Sequence[str]
    masked: Masked | None = Field(description="Null once the person's data was erased.")
    version: int = Field(description="The volunteer's ETag.")

    @classmethod
    def of(cls, volunteer: Volunteer, personal: Personal | None) -> "VolunteerRow":
        """From a stored volunteer and the opened data."""
        return cls(
            volunteer_id=volunteer.volunteer_id,
            number=volunteer.number,
            home_unit=volunteer.home_unit,
            state=volunteer.state,
            retired_cadre=volunteer.retired_cadre,
            age_band=volunteer.age_band,
            channel=volunteer.channel,
            registered_on=date.fromisoformat(volunteer.registered_on),
            teams=volunteer.teams,
            masked=None if personal is None else Masked.of(personal),
            version=volunteer.version,
        )


class ServedView(BaseModel):
    """What hours has credited so far, as far as it has reached registry."""

    model_config = ConfigDict(frozen=True)

    minutes: int
    minutes_by_grade: Sequence[int] = Field(description="Settled minutes of evidence grade 0 to 3.")
    entries: int

    @classmethod
    def of(cls, served: Served) -> "ServedView":
        """From a volunteer's record."""
        return cls(minutes=sum(served.minutes), minutes_by_grade=served.minutes, entries=served.entries)


class VolunteerView(VolunteerRow):
    """One volunteer, masked, or in full where `reveal` was asked for with a reason."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    **_LISTED,
                    "personal": None,
                    "served": {"minutes": 4310, "minutes_by_grade": [0, 980, 3330, 0], "entries": 37},
                }
            ]
        },
    )

    personal: Revealed | None = Field(description="Null unless revealed.")
    served: ServedView
