"""Shapes what organisations take and answer over HTTP."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.ids import OrganisationKind
from services.registry.organisations.rules import ID, NAME_CHARACTERS_MAX, Organisation

ID_PATTERN = f"^{ID.pattern}$"
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
UNIT_PATTERN = r"^[0-9]{6}$"
OrganisationIdText = Annotated[
    str, Field(pattern=ID_PATTERN, description="Letters, a hyphen, letters and digits; chosen by the unit, for life.")
]


class OrganisationBody(BaseModel):
    """A department, party branch, station, team or brand to be entered."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "organisation_id": "TM-340802-007",
                    "kind": "team",
                    "name": "迎江区银龄志愿服务队7队",
                    "unit": "340802",
                    "parent_id": "ST-340802-03",
                    "since": "2023-11-01",
                }
            ]
        },
    )

    organisation_id: OrganisationIdText
    kind: OrganisationKind
    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX, pattern=PRINTABLE)]
    unit: Annotated[str, Field(pattern=UNIT_PATTERN)]
    parent_id: OrganisationIdText | None = None
    since: date


class OrganisationRegisteredAnswer(BaseModel):
    """What entering an organisation answers."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"organisation_id": "TM-340802-007", "version": 1}]}
    )

    organisation_id: str
    version: int


class OrganisationView(BaseModel):
    """A department (部门), party branch (党支部), station (驿站), team (团队) or brand (品牌)."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "organisation_id": "TM-340802-007",
                    "kind": "team",
                    "name": "迎江区银龄志愿服务队7队",
                    "unit": "340802",
                    "parent_id": "ST-340802-03",
                    "since": "2023-11-01",
                    "version": 1,
                }
            ]
        },
    )

    organisation_id: str
    kind: OrganisationKind
    name: str
    unit: str
    parent_id: str | None
    since: date
    version: int

    @classmethod
    def of(cls, organisation: Organisation) -> "OrganisationView":
        """From a stored organisation."""
        return cls(
            organisation_id=organisation.organisation_id,
            kind=organisation.kind,
            name=organisation.name,
            unit=organisation.unit,
            parent_id=organisation.parent_id,
            since=date.fromisoformat(organisation.since),
            version=organisation.version,
        )
