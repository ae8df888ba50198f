"""Names the shapes that the bodies of several slices' requests are made of."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from services.activities.limits import ID_CHARACTERS_MAX, ID_PATTERN, UNIT_PATTERN, YEAR_MAX, YEAR_MIN


class Body(BaseModel):
    """A body of a request: an unknown field is an error, for it is a misspelt known one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def example(value: dict[str, Any]) -> ConfigDict:
    """The configuration of a body whose OpenAPI schema shows this example, which a test sends."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [value]})


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema without references, for an OpenAPI document whose route reads its body itself."""
    definitions = schema.get("$defs", {})

    def whole(part: Any) -> Any:
        match part:
            case {"$ref": str(reference)}:
                return whole(definitions[reference.rpartition("/")[2]])
            case dict():
                return {name: whole(value) for name, value in part.items() if name not in {"$defs", "discriminator"}}
            case list():
                return [whole(value) for value in part]
            case _:
                return part

    return dict(whole(schema))


def _only_text(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError("must be an RFC 3339 time")  # noqa: TRY004 - pydantic reports a ValueError, with the path
    return value


def _in_utc(at: datetime) -> datetime:
    if not YEAR_MIN <= at.year <= YEAR_MAX:
        raise ValueError(f"must lie in the years {YEAR_MIN} to {YEAR_MAX}")
    return at.astimezone(UTC)


Id = Annotated[str, StringConstraints(min_length=1, max_length=ID_CHARACTERS_MAX, pattern=ID_PATTERN)]
Unit = Annotated[str, StringConstraints(pattern=UNIT_PATTERN)]
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_only_text),
    AfterValidator(_in_utc),
    Field(description="RFC 3339 with offset, in the years 2000 to 2100."),
]
ProofText = Annotated[str, StringConstraints(min_length=1, max_length=ID_CHARACTERS_MAX)]


class CodeOrCard(Body):
    """A proof that carries what was read: a card for the one method that is a card, a code for the others."""

    method: str
    card: ProofText | None = None
    code: ProofText | None = None

    @property
    def text(self) -> str | None:
        """What was read, if it stands where the method says."""
        return self.card if self.method == "personal_card" else self.code
