"""Lets operators see what is parked over HTTP, and ask for its repair, redrive or discard."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.contracts.ids import ActorId
from services.contracts.operations import (
    Operations,
    ParkedFlaw,
    ParkedRecord,
    ParkingAction,
    ParkingReason,
    ParkingRefusal,
    ParkingRequested,
)
from services.eventing import parking
from services.eventing.operations import (
    RECEIVED,
    REQUESTS,
    CorrectionError,
    RequestState,
    correction,
    place_in,
    refusal_at,
    request_document,
)
from services.eventing.parking import PARKING
from services.eventing.ports import Document, Ports, Transaction
from services.runtime.auth import Caller, require
from services.runtime.commands import Command, command
from services.runtime.dependencies import dependency_of, get_ports
from services.runtime.outcomes import Accepted, Outcome, Refusal
from services.runtime.pages import Page, Paging, page_of
from services.runtime.problems import RefusedError, refusals, refused

SCOPE: Final = "operations.parking"
EVENTS: Final = "operations_events"
"""The name under which an app keeps its service's ``Operations``."""
ID_CHARACTERS_MAX: Final = 600
TOPIC_CHARACTERS_MAX: Final = 249
OFFSET_MAX: Final = 2**62
PARTITION_MAX: Final = 100_000
CORRECTION_BYTES_MAX: Final = 65_536
"""A correction travels inside an event, where its quotes take two bytes each; events are far smaller."""
_RECORD: Final[dict[str, Any]] = {"topic": "activities.attendance", "partition": 3, "offset": 1841}
_PARKED_ID: Final = "hours|0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70"
_ABOUT_A_RECORD: Final = ("outside_area", "nothing_parked", "record_not_parked", "record_waits_only")

router = APIRouter(tags=["operations"])
ParkedId = Annotated[str, Field(min_length=1, max_length=ID_CHARACTERS_MAX)]


class PlaceBody(BaseModel):
    """A record by its place in the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Annotated[str, Field(min_length=1, max_length=TOPIC_CHARACTERS_MAX)]
    partition: Annotated[int, Field(ge=0, le=PARTITION_MAX)]
    offset: Annotated[int, Field(ge=0, le=OFFSET_MAX)]


def _example(**more: Any) -> ConfigDict:
    value = {"parked_id": _PARKED_ID, "reason_code": "recorded_wrongly", **more}
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [value]})


class RedriveBody(BaseModel):
    """Which key's records are to be tried again, in their order."""

    model_config = _example()

    parked_id: ParkedId
    reason_code: ParkingReason


class DiscardBody(BaseModel):
    """Which record is never to be applied."""

    model_config = _example(record=_RECORD)

    parked_id: ParkedId
    record: PlaceBody
    reason_code: ParkingReason


class RepairBody(BaseModel):
    """Which record is to be replaced, and the whole event that is to stand in for it: same id, key and sequence."""

    model_config = _example(record=_RECORD, event={"specversion": "1.0", "id": "0198063f-11c4-7d7e-8a35-2b9c4d1e600c"})

    parked_id: ParkedId
    record: PlaceBody
    event: dict[str, Any]
    reason_code: ParkingReason


class ParkedRecordAnswer(BaseModel):
    """A parked record without its value."""

    topic: str
    partition: int
    offset: int
    event_id: str
    type: str
    reason: ParkedFlaw | Literal["behind"]
    path: str | None = Field(description="The field or the line of code where it failed; never a value.")
    minutes: int = Field(description="Minutes of people's service that wait with it.")
    appended_at: datetime
    repaired_at: datetime | None


class ParkedQueueAnswer(BaseModel):
    """What waits of one key, and the first record of it."""

    parked_id: str
    since: datetime
    records: int
    minutes: int
    first: ParkedRecordAnswer


class ParkedKeyAnswer(ParkedQueueAnswer):
    """What waits of one key, record by record, in the order in which it will be applied."""

    waiting: list[ParkedRecordAnswer]


class NamedRecordAnswer(BaseModel):
    """A record by its place in the log and the event it is."""

    topic: str
    partition: int
    offset: int
    event_id: str


class ParkingRequestAnswer(BaseModel):
    """What was asked for and what became of it. ``applied``, ``remaining`` and the rest are null until then."""

    request_id: str
    parked_id: str
    action: ParkingAction
    record: NamedRecordAnswer | None
    reason_code: ParkingReason
    requested_by: str
    confirmed_by: str | None
    requested_at: datetime
    state: RequestState
    refusal: ParkingRefusal | None
    applied: int | None
    remaining: int | None
    failing: NamedRecordAnswer | None
    flaw: ParkedFlaw | None


async def _operator(
    caller: Annotated[Caller, Depends(require(SCOPE))],
    area: Annotated[str, Depends(dependency_of("deployment_area"))],
) -> Caller:
    """An operator of the whole deployment: a record that cannot be read does not say whose area it is."""
    if not caller.covers(area):
        raise RefusedError(Refusal("outside_area", "parked records are for who may see the whole deployment"))
    return caller


async def _operating(
    operation: Annotated[Command, Depends(command(SCOPE))],
    area: Annotated[str, Depends(dependency_of("deployment_area"))],
) -> Command:
    await _operator(operation.caller, area)
    return operation


OperatorsRead = Annotated[Caller, Depends(_operator)]
OperatorsCommand = Annotated[Command, Depends(_operating)]
TheirPorts = Annotated[Ports, Depends(get_ports)]
TheirEvents = Annotated[Operations, Depends(dependency_of(EVENTS))]


@router.get("/v1/operations/parked", openapi_extra=refusals("outside_area"))
async def list_parked_keys(_: OperatorsRead, ports: TheirPorts, page: Paging) -> Page[ParkedQueueAnswer]:
    """Lists the keys whose records wait; shows no value."""
    after = str(page.after[0]) if page.after is not None else ""
    rows = await parking.list_heads(ports.store, limit=page.limit + 1, after=after)
    return page_of(rows, page.limit, _queue_answer, lambda queue: (queue["_id"],))


@router.get("/v1/operations/parked/{parked_id:path}", openapi_extra=refusals("outside_area", "nothing_parked"))
async def get_parked_key(parked_id: ParkedId, _: OperatorsRead, ports: TheirPorts) -> ParkedKeyAnswer:
    """Shows one key's records in the order in which they wait; no values."""
    queue = await parking.show_parked(ports.store, parked_id)
    if queue is None:
        raise refused("nothing_parked")
    waiting = [_record_answer(record) for record in queue["records"]]
    return ParkedKeyAnswer(**_queue_answer(queue).model_dump(), waiting=waiting)


@router.post(
    "/v1/operations/parked-repairs",
    status_code=202,
    response_model=ParkingRequestAnswer,
    openapi_extra=refusals(*_ABOUT_A_RECORD, "correction_invalid", "not_redrivable"),
)
async def repair(body: RepairBody, operation: OperatorsCommand, events: TheirEvents) -> Response:
    """Asks that another event stands in for a flawed record; a redrive then applies it."""
    request_id = operation.new_id()

    async def work(tx: Transaction) -> Outcome:
        found = await _find(tx, body.parked_id, body.record)
        if isinstance(found, Refusal):
            return found
        queue, record = found
        if queue["collection"] == RECEIVED:
            return Refusal("not_redrivable")
        try:
            corrected = _normal(body.event, record, queue["key"])
        except CorrectionError as error:
            return Refusal("correction_invalid", str(error))
        return await _request(
            tx, operation, _asked(events, operation, request_id, body, "repair", queue, record, corrected)
        )

    return await operation.run(work)


@router.post(
    "/v1/operations/parked-redrives",
    status_code=202,
    response_model=ParkingRequestAnswer,
    openapi_extra=refusals("outside_area", "nothing_parked", "not_redrivable"),
)
async def redrive(body: RedriveBody, operation: OperatorsCommand, events: TheirEvents) -> Response:
    """Asks that a key's records are tried again, from the first on, until one fails."""
    request_id = operation.new_id()

    async def work(tx: Transaction) -> Outcome:
        queue = await _queue(tx, body.parked_id)
        if queue is None:
            return Refusal("nothing_parked")
        if queue["collection"] == RECEIVED:
            return Refusal("not_redrivable")
        return await _request(tx, operation, _asked(events, operation, request_id, body, "redrive", queue, None, None))

    return await operation.run(work)


@router.post(
    "/v1/operations/parked-discards",
    status_code=202,
    response_model=ParkingRequestAnswer,
    openapi_extra=refusals(*_ABOUT_A_RECORD),
)
async def propose_discard(body: DiscardBody, operation: OperatorsCommand, events: TheirEvents) -> Response:
    """Proposes that a flawed record is never applied; nothing happens before a second operator confirms it."""
    request_id = operation.new_id()

    async def work(tx: Transaction) -> Outcome:
        found = await _find(tx, body.parked_id, body.record)
        if isinstance(found, Refusal):
            return found
        asked = _asked(events, operation, request_id, body, "discard", *found, None)
        proposed = request_document(asked, "proposed", requested_at=operation.now)
        await tx.insert(REQUESTS, [proposed])
        return Accepted(_request_answer(proposed).model_dump(mode="json"), status=202)

    return await operation.run(work)


@router.get("/v1/operations/parking-requests", openapi_extra=refusals("outside_area"))
async def list_requests(
    _: OperatorsRead, ports: TheirPorts, page: Paging, state: Annotated[RequestState, Query()] = "proposed"
) -> Page[ParkingRequestAnswer]:
    """Lists requests in one state, the oldest first; by default the discards that wait for a second operator."""
    where: dict[str, Any] = {"state": state, "_id": {"$gt": str(page.after[0]) if page.after is not None else ""}}
    rows = await ports.store.find(REQUESTS, where, limit=page.limit + 1)
    return page_of(rows, page.limit, _request_answer, lambda each: (each["_id"],))


@router.get("/v1/operations/parking-requests/{request_id}", openapi_extra=refusals("outside_area", "request_unknown"))
async def get_request(request_id: ParkedId, _: OperatorsRead, ports: TheirPorts) -> ParkingRequestAnswer:
    """Shows what became of a request."""
    known = (await ports.store.get(REQUESTS, (request_id,))).get(request_id)
    if known is None:
        raise refused("request_unknown")
    return _request_answer(known)


@router.post(
    "/v1/operations/parking-requests/{request_id}/confirmation",
    status_code=202,
    response_model=ParkingRequestAnswer,
    openapi_extra=refusals(*_ABOUT_A_RECORD, "request_unknown", "request_decided", "second_person_required"),
)
async def confirm(request_id: ParkedId, operation: OperatorsCommand, events: TheirEvents) -> Response:
    """Confirms a discard that another operator proposed; the owner of the queue then carries it out."""

    async def work(tx: Transaction) -> Outcome:
        proposed = await _proposed(tx, request_id, events)
        if isinstance(proposed, Refusal):
            return proposed
        if operation.caller.subject == proposed.requested_by:
            return Refusal("second_person_required")
        assert proposed.record is not None, "only a record is discarded"
        place = proposed.record
        found = await _find(
            tx,
            proposed.parked_id,
            PlaceBody(topic=place.topic, partition=place.partition, offset=place.offset),
        )
        if isinstance(found, Refusal):
            return found
        return await _request(tx, operation, msgspec.structs.replace(proposed, confirmed_by=operation.caller.subject))

    return await operation.run(work)


@router.post(
    "/v1/operations/parking-requests/{request_id}/withdrawal",
    response_model=ParkingRequestAnswer,
    openapi_extra=refusals("outside_area", "request_unknown", "request_decided"),
)
async def withdraw(request_id: ParkedId, operation: OperatorsCommand, events: TheirEvents) -> Response:
    """Closes a proposed discard; the record goes on waiting."""

    async def work(tx: Transaction) -> Outcome:
        proposed = await _proposed(tx, request_id, events)
        if isinstance(proposed, Refusal):
            return proposed
        known = (await tx.get(REQUESTS, (request_id,)))[request_id] | {"state": "withdrawn"}
        await tx.replace(REQUESTS, [known])
        return Accepted(_request_answer(known).model_dump(mode="json"))

    return await operation.run(work)


async def _request(tx: Transaction, operation: Command, asked: ParkingRequested) -> Accepted:
    """Keeps the request and announces it; the owner of the queue hears of it by its operations topic."""
    kept = request_document(asked, "requested", requested_at=operation.now)
    await tx.replace(REQUESTS, [kept])
    body = _request_answer(kept).model_dump(mode="json")
    return Accepted(body, [operation.fact(asked)], status=202)


def _asked(
    events: Operations,
    operation: Command,
    request_id: str,
    body: RedriveBody | RepairBody | DiscardBody,
    action: ParkingAction,
    queue: Mapping[str, Any],
    record: Mapping[str, Any] | None,
    corrected: str | None,
) -> ParkingRequested:
    return events.requested(
        request_id=request_id,
        parked_id=queue["_id"],
        parked_key=queue["key"],
        action=action,
        record=None if record is None else _named(record),
        corrected=corrected,
        reason_code=body.reason_code,
        requested_by=ActorId(operation.caller.subject),
        confirmed_by=None,
    )


async def _queue(tx: Transaction, parked_id: str) -> Document | None:
    return (await tx.get(PARKING, (parked_id,))).get(parked_id)


async def _find(tx: Transaction, parked_id: str, place: PlaceBody) -> tuple[Document, Document] | Refusal:
    """The queue and the flawed record in it; or why that may not be touched."""
    queue = await _queue(tx, parked_id)
    if queue is None:
        return Refusal("nothing_parked")
    wanted = (place.topic, place.partition, place.offset)
    for record in queue["records"]:
        if (record["topic"], record["partition"], record["offset"]) == wanted:
            refusal = refusal_at(queue, place_in(queue, _named(record)))
            return (queue, record) if refusal is None else Refusal(refusal)
    return Refusal("record_not_parked")


async def _proposed(tx: Transaction, request_id: str, events: Operations) -> ParkingRequested | Refusal:
    known = (await tx.get(REQUESTS, (request_id,))).get(request_id)
    if known is None:
        return Refusal("request_unknown")
    if known["state"] != "proposed":
        return Refusal("request_decided")
    return msgspec.convert(known | {"request_id": known["_id"]}, type=events.requested)


def _normal(event: dict[str, Any], record: Mapping[str, Any], key: str) -> str:
    """The event as the codec writes it: only what is declared travels, whatever else the operator sent.

    Raises ``CorrectionError``.
    """
    corrected = correction(dict(record), key, msgspec.json.encode(event).decode())
    value = msgspec.json.encode(corrected)
    if len(value) > CORRECTION_BYTES_MAX:
        raise CorrectionError(f"more than {CORRECTION_BYTES_MAX} bytes")
    return value.decode()


def _named(record: Mapping[str, Any]) -> ParkedRecord:
    return ParkedRecord(
        topic=record["topic"], partition=record["partition"], offset=record["offset"], event_id=record["id"]
    )


def _queue_answer(queue: Mapping[str, Any]) -> ParkedQueueAnswer:
    return ParkedQueueAnswer(
        parked_id=queue["_id"],
        since=queue["since"],
        records=queue["count"],
        minutes=queue["minutes"],
        first=_record_answer(queue["first"]),
    )


def _record_answer(record: Mapping[str, Any]) -> ParkedRecordAnswer:
    return ParkedRecordAnswer(
        topic=record["topic"],
        partition=record["partition"],
        offset=record["offset"],
        event_id=record["id"],
        type=record["type"],
        reason=record["reason"],
        path=record["path"],
        minutes=record["minutes"],
        appended_at=record["appended_at"],
        repaired_at=record.get("repaired_at"),
    )


def _request_answer(request: Mapping[str, Any]) -> ParkingRequestAnswer:
    return ParkingRequestAnswer.model_validate(dict(request) | {"request_id": request["_id"]})
