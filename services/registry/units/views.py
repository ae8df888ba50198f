"""Shapes what the area table takes and answers over HTTP."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.ids import AreaSystem
from services.registry.units.rules import NAME_CHARACTERS_MAX, ROLL_PEOPLE_MAX, Unit

UNIT_PATTERN = r"^[0-9]{6}$"
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
UnitCodeText = Annotated[str, Field(pattern=UNIT_PATTERN, description="Six digits of the area table.")]


class UnitBody(BaseModel):
    """A unit's row of the area table from a date on."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"system": "gbt2260", "name": "迎江区", "parent": "340800", "valid_from": "2020-01-01"}]
        },
    )

    system: AreaSystem
    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX, pattern=PRINTABLE)]
    parent: UnitCodeText | None = None
    valid_from: date


class RollBody(BaseModel):
    """How many retired cadres were on a unit's roll on a date."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"as_of": "2025-12-31", "people": 2360}]}
    )

    as_of: date
    people: Annotated[int, Field(ge=0, le=ROLL_PEOPLE_MAX, strict=True)]


class UnitEdited(BaseModel):
    """What an edit of a unit came to."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"unit": "340802", "version": 2, "changed": True}]}
    )

    unit: str
    version: int = Field(description="The unit's ETag.")
    changed: bool = Field(description="False if all that was said was known.")


class UnitVersion(BaseModel):
    """What the area table says of a unit from a date on."""

    model_config = ConfigDict(frozen=True)

    valid_from: date
    system: AreaSystem
    name: str
    parent: str | None


class RollView(BaseModel):
    """A unit's roll of retired cadres (离退休干部花名册) as counted on a date."""

    model_config = ConfigDict(frozen=True)

    as_of: date
    people: int


class UnitView(BaseModel):
    """An assessed unit: its last row, all its versions, its roll."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "unit": "340802",
                    "system": "gbt2260",
                    "name": "迎江区",
                    "parent": "340800",
                    "valid_from": "2020-01-01",
                    "versions": [
                        {"valid_from": "2020-01-01", "system": "gbt2260", "name": "迎江区", "parent": "340800"}
                    ],
                    "roll": [{"as_of": "2025-12-31", "people": 2360}],
                    "version": 2,
                }
            ]
        },
    )

    unit: str
    system: AreaSystem
    name: str
    parent: str | None
    valid_from: date
    versions: Sequence[UnitVersion]
    roll: Sequence[RollView]
    version: int = Field(description="The unit's ETag.")

    @classmethod
    def of(cls, unit: Unit) -> "UnitView":
        """From a stored unit."""
        versions = [
            UnitVersion(
                valid_from=date.fromisoformat(row.valid_from), system=row.system, name=row.name, parent=row.parent
            )
            for row in unit.rows
        ]
        return cls(
            unit=unit.code,
            **versions[-1].model_dump(),
            versions=versions,
            roll=[RollView(as_of=date.fromisoformat(each.as_of), people=each.people) for each in unit.roll],
            version=unit.version,
        )
