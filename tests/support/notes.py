"""A service of one slice, as small as a service can be: what tests of the runtime run."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from services.contracts.ids import UnitCode
from services.contracts.registry import UnitRegistered
from services.eventing.ports import Ports, Transaction
from services.runtime.auth import Caller, outside_area, require
from services.runtime.commands import Command, command
from services.runtime.http import answer, build_app, dependency_of, get_ports
from services.runtime.outcomes import Accepted, Outcome, Problem, Refusal
from services.runtime.pages import Page, Paging, page_of
from services.runtime.problems import refusals, refused
from services.runtime.settings import HttpSettings

NOTES = "notes"
PROBLEMS = (
    Problem("note_unknown", 404, "没有这条记录"),
    Problem("note_exists", 409, "记录已存在"),
    Problem("note_rude", 422, "记录内容不当"),
)
LARGE_BODY_BYTES_MAX = 4_096
router = APIRouter()


class NoteBody(BaseModel):
    """A note as it is written."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"unit": "340802", "text": "hello"}]}
    )

    unit: str = Field(pattern="^[0-9]{6}$")
    text: str = Field(max_length=200)
    pages: int = Field(default=1, ge=1)


class Note(BaseModel):
    """A note as it is read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "N-1", "unit": "340802", "text": "hello"}]})

    id: str
    unit: str
    text: str


class Receipt(BaseModel):
    """What a write answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "N-1"}]})

    id: str


def unit_registered(unit: str) -> UnitRegistered:
    """Some event; which one does not matter here."""
    return UnitRegistered(unit=UnitCode(unit), system="gbt2260", name="某区", parent=None, valid_from=date(2026, 1, 1))


async def write_note(tx: Transaction, command: Command, note_id: str, body: NoteBody) -> Outcome:
    """Refuses rude texts and taken ids; bursts where a test wants it to."""
    if not command.caller.covers(body.unit):
        return outside_area(command.caller, body.unit)
    if body.text == "rude":
        return Refusal("note_rude", "be kind")
    if body.text == "burst":
        raise RuntimeError("burst")
    if note_id in await tx.get(NOTES, [note_id]):
        return Refusal("note_exists")
    await tx.insert(NOTES, [{"_id": note_id, "unit": body.unit, "text": body.text, "version": 1}])
    facts = [command.fact(unit_registered(body.unit))]
    return Accepted({"id": note_id}, facts, status=201, etag="1", location=f"/v1/notes/{note_id}")


@router.post(
    "/v1/notes",
    status_code=201,
    response_model=Receipt,
    openapi_extra=refusals("note_rude", "note_exists", "outside_area"),
)
async def post_note(body: NoteBody, command: Annotated[Command, Depends(command("notes.write"))]) -> Response:
    """Writes a note."""
    note_id = command.new_id()
    return await command.run(lambda tx: write_note(tx, command, note_id, body))


@router.put(
    "/v1/notes/{note_id}",
    response_model=Receipt,
    openapi_extra=refusals("note_unknown", "if_match_missing", "etag_mismatch"),
)
async def put_note(
    note_id: str, body: NoteBody, command: Annotated[Command, Depends(command("notes.write"))]
) -> Response:
    """Changes a note that has not changed since it was read."""

    async def work(tx: Transaction) -> Outcome:
        note = (await tx.get(NOTES, [note_id])).get(note_id)
        if note is None:
            return Refusal("note_unknown")
        if (unmatched := command.unmatched(str(note["version"]))) is not None:
            return unmatched
        version = note["version"] + 1
        await tx.replace(NOTES, [{"_id": note_id, "unit": body.unit, "text": body.text, "version": version}])
        return Accepted({"id": note_id}, etag=str(version))

    return await command.run(work)


@router.post(
    "/v1/batches",
    response_model=Receipt,
    max_body_size=LARGE_BODY_BYTES_MAX,
    openapi_extra={
        **refusals(),
        "requestBody": {
            "required": True,
            "content": {"text/plain": {"schema": {"type": "string"}, "example": "any bytes"}},
        },
    },
)
async def post_batch(
    request: Request,
    command: Annotated[Command, Depends(command("notes.write", key_from_body=True, kept_days=None))],
) -> Response:
    """Keeps the size of a batch under its digest."""
    size = len(await request.body())

    async def work(tx: Transaction) -> Outcome:
        await tx.insert(NOTES, [{"_id": command.key, "unit": "340802", "text": str(size), "version": 1}])
        return Accepted({"id": command.key})

    return await command.run(work)


@router.get("/v1/notes/{note_id}", response_model=Note, openapi_extra=refusals("note_unknown", "outside_area"))
async def get_note(
    note_id: str,
    caller: Annotated[Caller, Depends(require("notes.read"))],
    ports: Annotated[Ports, Depends(get_ports)],
    shown: Annotated[Any, Depends(dependency_of("shown"))],
) -> Response:
    """Reads a note."""
    note = (await ports.store.get(NOTES, [note_id])).get(note_id)
    if note is None:
        raise refused("note_unknown")
    if not caller.covers(note["unit"]):
        raise refused("outside_area")
    return answer(Note(id=note_id, unit=note["unit"], text=shown + note["text"]), etag=str(note["version"]))


@router.get("/v1/notes", dependencies=[Depends(require("notes.read"))], openapi_extra=refusals())
async def list_notes(page: Paging, ports: Annotated[Ports, Depends(get_ports)]) -> Page[Note]:
    """Lists notes by id."""
    where: Mapping[str, Any] = {} if page.after is None else {"_id": {"$gt": page.after[0]}}
    rows = await ports.store.find(NOTES, where, limit=page.limit + 1)
    return page_of(
        rows,
        page.limit,
        lambda row: Note(id=row["_id"], unit=row["unit"], text=row["text"]),
        lambda row: (row["_id"],),
    )


def notes_app(ports: Ports, settings: HttpSettings, **more: Any) -> FastAPI:
    """The app of the service."""
    return build_app(
        service="notes",
        ports=ports,
        settings=settings,
        problems=PROBLEMS,
        routers=[router],
        state={"shown": ""},
        **more,
    )
