"""Serves the change feed as server-sent events, for front ends that are to see what happens as it happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from services.eventing.changes import Change, CursorUnknownError, list_changes
from services.eventing.ports import Ports
from services.runtime import tickets
from services.runtime.auth import SCOPE_ATTRIBUTE, Caller, caller_of, require
from services.runtime.changes import CHANGES_SCOPE
from services.runtime.dependencies import dependency_of, get_ports
from services.runtime.edge import EVENTS_PATH
from services.runtime.live import End, LiveChanges
from services.runtime.outcomes import Refusal
from services.runtime.pages import CURSOR_CHARACTERS_MAX
from services.runtime.problems import RefusedError, refusals, refused

MEDIA_TYPE: Final = "text/event-stream"
RECONNECT_MS: Final = 3_000
SEND_S: Final = 20.0
"""Who takes nothing for so long is not there any more, whatever its connection says."""

router = APIRouter(tags=["changes"])
InPorts = Annotated[Ports, Depends(get_ports)]
DeploymentArea = Annotated[str, Depends(dependency_of("deployment_area"))]


class Ticket(BaseModel):
    """What opens one event stream, once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ticket": "0a" * 32, "expires_in_s": tickets.TICKET_S}]})

    ticket: str = Field(description="Give it as `ticket` to `GET /v1/events`.")
    expires_in_s: int


@router.post("/v1/event-tickets", status_code=201, response_model=Ticket, openapi_extra=refusals("outside_area"))
async def create_event_ticket(
    request: Request, caller: Annotated[Caller, Depends(require(CHANGES_SCOPE))], ports: InPorts, area: DeploymentArea
) -> Response:
    """Gives a ticket for one event stream: browsers send no bearer header with one."""
    _must_see_all(caller, area)
    ticket = await tickets.give(ports, caller, request.headers["authorization"])
    return JSONResponse(Ticket(ticket=ticket, expires_in_s=tickets.TICKET_S).model_dump(), 201)


async def _listener(
    request: Request,
    ports: InPorts,
    ticket: Annotated[str | None, Query(max_length=tickets.TICKET_CHARACTERS)] = None,
) -> Caller:
    """Who listens: the bearer of a token, or whom the ticket stands for."""
    if "caller" not in request.scope and ticket is not None:
        request.scope["caller"] = await tickets.take(ports, ticket)
        if request.scope["caller"] is None:
            raise refused("ticket_invalid")
    caller = caller_of(request)
    if CHANGES_SCOPE not in caller.scopes:
        raise refused("scope_missing", f"needs the scope {CHANGES_SCOPE}")
    return caller


setattr(_listener, SCOPE_ATTRIBUTE, CHANGES_SCOPE)


def _must_see_all(caller: Caller, area: str) -> None:
    if not caller.covers(area):
        raise RefusedError(Refusal("outside_area", "all changes are for who may see the whole deployment"))


_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events as they are published, one `data` line of CloudEvents JSON each, with its cursor "
        "as `id`; comments in between. The last is `event: end` with a `code`: `too_slow`, `stopping`, "
        "`expired`, `broken`.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": 'id: 3.1\ndata: {"specversion":"1.0"}\n\n'}},
    }
}


@router.get(
    EVENTS_PATH,
    response_class=Response,
    responses=_STREAM,
    openapi_extra=refusals("outside_area", "ticket_invalid", "cursor_invalid"),
)
async def get_events(
    caller: Annotated[Caller, Depends(_listener)],
    ports: InPorts,
    area: DeploymentArea,
    live: Annotated[LiveChanges, Depends(dependency_of("live"))],
    last_event_id: Annotated[str | None, Header(max_length=CURSOR_CHARACTERS_MAX)] = None,
    after: Annotated[str | None, Query(max_length=CURSOR_CHARACTERS_MAX)] = None,
) -> Response:
    """Tells changes as they are published, to who may see all areas.

    Begins behind `Last-Event-ID`, else behind `after`, both cursors of `/v1/changes`; else with what comes next.
    """
    _must_see_all(caller, area)
    begins_behind = last_event_id if last_event_id is not None else after
    try:
        if begins_behind is not None:
            await list_changes(ports.store, begins_behind, 1)
    except CursorUnknownError as error:
        raise refused("cursor_invalid", str(error)) from error
    if live.is_full:
        raise refused("try_again")
    return EventStream(live, begins_behind)


class EventStream(Response):
    """An answer that goes on until its client leaves, is too slow, or the process ends."""

    media_type = MEDIA_TYPE

    def __init__(self, live: LiveChanges, after: str | None) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"}, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._live, self._after = live, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "time_limit" in scope:
            scope["time_limit"].reschedule(None)  # a stream has limits of its own
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        gone = asyncio.create_task(_until_gone(receive))
        telling = asyncio.create_task(self._tell(send, gone))
        try:
            await asyncio.wait({gone, telling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            telling.cancel()
            await asyncio.wait({gone, telling})
        if not telling.cancelled():
            telling.result()

    async def _tell(self, send: Send, gone: "asyncio.Task[None]") -> None:
        told = self._live.listen(self._after, is_gone=gone.done)
        try:
            await _send(send, b"retry: %d\n\n" % RECONNECT_MS)
            async for each in told:
                await _send(send, frame_of(each))
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            return  # half an answer is out, and nobody takes the rest: the server closes the connection
        finally:
            await _close(told)


async def _send(send: Send, frame: bytes) -> None:
    async with asyncio.timeout(SEND_S):
        await send({"type": "http.response.body", "body": frame, "more_body": True})


async def _close(told: AsyncIterator[Change | End | None]) -> None:
    await told.aclose()  # type: ignore[attr-defined] # a generator


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def frame_of(told: Change | End | None) -> bytes:
    """How a change, the end or a moment without news looks in the stream (HTML, section 9.2)."""
    match told:
        case None:
            return b": \n\n"
        case Change():
            return b"id: %s\ndata: %s\n\n" % (told.cursor.encode(), told.value)
        case end:
            return b'event: end\ndata: {"code":"%s"}\n\n' % end.encode()
