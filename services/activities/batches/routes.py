"""Lets kiosks and leaders send batches, and read their receipts again."""

from collections.abc import Collection
from typing import Annotated, Any, Final, Literal, assert_never

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from services.activities.attendance.rules import Attend, CheckIn, CheckOut
from services.activities.batches import handlers, store
from services.activities.batches.handlers import Batch
from services.activities.batches.rules import BATCH_BYTES_MAX, BATCH_ROWS_MAX, RefusedRow, Row
from services.activities.given import Secret, TheirPorts
from services.activities.proofs.rules import Claim, Entry
from services.activities.shapes import Body, CodeOrCard, Id, Instant, ProofText, example, inlined
from services.contracts.ids import ActorId, SessionId, VolunteerNumber
from services.runtime.auth import Caller, require
from services.runtime.commands import Command, command
from services.runtime.problems import refusals, refused

router = APIRouter(tags=["batches"])
SCOPE: Final = "attendance.write"
ROW_NUMBER_MAX: Final = 1_000_000

RowNumber = Annotated[int, Field(ge=1, le=ROW_NUMBER_MAX, description="Names the row in the receipt.")]

KIOSK_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "kiosk",
    "device_id": "KIOSK-340802-03",
    "rows": [
        {
            "row": 1,
            "session_id": "SE-340802-0001-1",
            "number": "V34080200001",
            "action": "check_in",
            "at": "2026-07-14T08:55:00+08:00",
            "proof": {"method": "personal_card", "card": "V34080200001"},
        }
    ],
}
ROSTER_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "roster",
    "leader_id": "leader-340802-07",
    "rows": [
        {
            "row": 1,
            "session_id": "SE-340802-0001-1",
            "number": "V34080200002",
            "action": "attended",
            "from": "2026-07-14T09:00:00+08:00",
            "to": "2026-07-14T11:00:00+08:00",
            "proof": None,
        }
    ],
}


class KioskProof(CodeOrCard):
    """What a kiosk read: the card of the volunteer, the station's code, or a one-time code."""

    method: Literal["personal_card", "station_code", "one_time_code"]


class RosterProof(Body):
    """What stands on the paper beside the name's line: a one-time code, or nothing but the leader's word."""

    method: Literal["one_time_code", "leader_list"]
    code: ProofText | None = None


class KioskRow(Body):
    """Somebody came or left, by the kiosk's clock."""

    row: RowNumber
    session_id: Id
    number: Id
    action: Literal["check_in", "check_out"]
    at: Instant
    proof: KioskProof | None = None


class RosterRow(Body):
    """Somebody was there, by the paper."""

    row: RowNumber
    session_id: Id
    number: Id
    action: Literal["attended"]
    came_at: Annotated[Instant, Field(alias="from")]
    left_at: Annotated[Instant, Field(alias="to")]
    proof: RosterProof | None = None


class KioskBatch(Body):
    """What a kiosk has stored since it last had a network."""

    model_config = example(KIOSK_EXAMPLE)

    kind: Literal["kiosk"]
    device_id: Id
    rows: Annotated[list[KioskRow], Field(min_length=1, max_length=BATCH_ROWS_MAX)]


class RosterBatch(Body):
    """A paper roster, typed in by a leader or for one."""

    model_config = example(ROSTER_EXAMPLE)

    kind: Literal["roster"]
    leader_id: Id
    rows: Annotated[list[RosterRow], Field(min_length=1, max_length=BATCH_ROWS_MAX)]


class RefusedRowBody(BaseModel):
    """A row that was refused: nothing of it was recorded."""

    row: int
    code: str
    title: str


class Receipt(BaseModel):
    """What became of a batch, for ever."""

    batch_id: Annotated[str, Field(description="Hexadecimal SHA-256 of the exact bytes that were sent.")]
    accepted: int
    refused: list[RefusedRowBody]


_BATCH: Final = TypeAdapter[KioskBatch | RosterBatch](Annotated[KioskBatch | RosterBatch, Field(discriminator="kind")])
_ENVELOPE_PARTS: Final = 2
"""Where an error lies in a row, its place begins with the kind and ``rows``."""


def parse(raw: bytes, *, batch_id: str) -> Batch:
    """The batch in a body. A row that cannot be read is refused by itself, as long as it can be named in the receipt.

    Raises ``RequestValidationError`` for everything else that is wrong.
    """
    try:
        return _batch(_BATCH.validate_json(raw), batch_id, [])
    except ValidationError as error:
        wrong = error
    bad = {each["loc"][_ENVELOPE_PARTS] for each in wrong.errors() if _is_in_row(each["loc"])}
    if len(bad) == 0 or not all(_is_in_row(each["loc"]) for each in wrong.errors()):
        raise _invalid(wrong)
    return _without(bad, from_json(raw), batch_id, wrong)


def _is_in_row(location: tuple[int | str, ...]) -> bool:
    return len(location) > _ENVELOPE_PARTS and location[1] == "rows"


def _without(bad: Collection[int | str], document: dict[str, Any], batch_id: str, wrong: ValidationError) -> Batch:
    """The batch without rows that cannot be read; refused whole if one of them cannot be named, or none is left."""
    rows = document["rows"]
    unreadable = [RefusedRow(_name_of(row, wrong), "row_malformed") for i, row in enumerate(rows) if i in bad]
    document["rows"] = [row for i, row in enumerate(rows) if i not in bad]
    try:
        return _batch(_BATCH.validate_python(document), batch_id, unreadable)
    except ValidationError as error:
        raise _invalid(wrong) from error


def _name_of(row: Any, wrong: ValidationError) -> int:
    number = row.get("row") if isinstance(row, dict) else None
    if type(number) is not int or not 1 <= number <= ROW_NUMBER_MAX:
        raise _invalid(wrong)
    return number


def _invalid(wrong: ValidationError) -> RequestValidationError:
    """The error as FastAPI would have raised it: places begin with ``body``, and what is not JSON is said to be so."""
    errors = [{**each, "loc": ("body", *each["loc"][1:])} for each in wrong.errors(include_url=False)]
    if errors[0]["type"] == "json_invalid":
        errors = [{**errors[0], "loc": ("body", 0)}]
    return RequestValidationError(errors)


def _batch(body: KioskBatch | RosterBatch, batch_id: str, unreadable: list[RefusedRow]) -> Batch:
    match body:
        case KioskBatch():
            by = ActorId(body.device_id)
            rows = [_kiosk_row(row, Entry(entered_by=by, mode="kiosk_batch", batch_id=batch_id)) for row in body.rows]
        case RosterBatch():
            by = ActorId(body.leader_id)
            rows = [_roster_row(row, Entry(entered_by=by, mode="roster_batch", batch_id=batch_id)) for row in body.rows]
        case _:
            assert_never(body)
    return Batch(batch_id=batch_id, kind=body.kind, entered_by=by, rows=rows, unreadable=unreadable)


def _kiosk_row(row: KioskRow, entry: Entry) -> Row:
    """A kiosk never vouches for anybody: without a proof the row is refused."""
    claim = None if row.proof is None else Claim(row.proof.method, row.proof.text)
    kind = CheckIn if row.action == "check_in" else CheckOut
    command = kind(at=row.at, claim=claim, entry=entry)
    return Row(row=row.row, session_id=SessionId(row.session_id), number=VolunteerNumber(row.number), command=command)


def _roster_row(row: RosterRow, entry: Entry) -> Row:
    """A line without a code is the leader's word."""
    claim = Claim("leader_list") if row.proof is None else Claim(row.proof.method, row.proof.code)
    command = Attend(came_at=row.came_at, left_at=row.left_at, claim=claim, entry=entry)
    return Row(row=row.row, session_id=SessionId(row.session_id), number=VolunteerNumber(row.number), command=command)


_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": inlined(_BATCH.json_schema()),
            "examples": {"kiosk": {"value": KIOSK_EXAMPLE}, "roster": {"value": ROSTER_EXAMPLE}},
        }
    },
}

Sending = Annotated[Command, Depends(command(SCOPE, key_from_body=True))]


@router.post(
    "/v1/batches",
    response_model=Receipt,
    max_body_size=BATCH_BYTES_MAX,
    openapi_extra={
        "requestBody": _BODY,
        **refusals("malformed_json", "invalid_body", "unsupported_media_type", "outside_area"),
    },
)
async def take_in_batch(
    request: Request,
    command: Sending,
    secret: Secret,
) -> Response:
    """Takes in up to 500 rows in one transaction; rows are accepted or refused one by one, in their order.

    The same bytes are the same batch: they get the same receipt, for ever, and change nothing. A batch of which no row
    is for the sender's area is refused whole and gets no receipt, so that whoever may send it still can.
    """
    batch = parse(await request.body(), batch_id=command.key)
    return await command.run(lambda tx: handlers.take_in(tx, command, batch, secret=secret))


@router.get("/v1/batches/{batch_id}", openapi_extra=refusals("batch_unknown"))
async def get_batch(
    batch_id: Annotated[str, Path(pattern="^[0-9a-f]{64}$")],
    _: Annotated[Caller, Depends(require(SCOPE))],
    ports: TheirPorts,
) -> Receipt:
    """The receipt of a batch; it names rows, never people."""
    receipt = await store.load_receipt(ports.store, batch_id)
    if receipt is None:
        raise refused("batch_unknown")
    return Receipt.model_validate(receipt)
