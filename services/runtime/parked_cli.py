"""Asks from the command line for a parked key's repair, redrive or discard, by the service's own API."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import httpx
import typer

from services.contracts.operations import ParkingReason
from services.eventing.ports import Ids

TIMEOUT_S: Final = 10.0
WAIT_S: Final = 30
WAIT_MAX_S: Final = 600
LOOK_EVERY_S: Final = 0.2
EXIT_PROBLEM: Final = 1
EXIT_NOT_DONE: Final = 3
"""The request was taken, but its end is not what was asked for, or is not known yet."""
REASONS: Final = get_args(ParkingReason)

OpenClient = Callable[[str, str], httpx.AsyncClient]
"""Makes a client of an address and a token."""


class ProblemError(Exception):
    """The service refused; the message is its code and title."""


def http_client(url: str, token: str) -> httpx.AsyncClient:
    """The client of a running service. The token says who asks: a discard needs two."""
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S)


def add_commands(app: typer.Typer, default_url: Callable[[], str], ids: Ids, open_client: OpenClient) -> None:
    """Adds ``repair``, ``redrive``, ``discard``, ``confirm``, ``withdraw`` and ``requests`` beside list and show."""
    desk = Desk(default_url, ids, open_client)
    _add_asking(app, desk)
    _add_deciding(app, desk)


class Desk:
    """Where one command asks: an address, and whose token."""

    def __init__(self, default_url: Callable[[], str], ids: Ids, open_client: OpenClient) -> None:
        self._default_url, self._ids, self._open_client = default_url, ids, open_client

    def run(self, url: str, token: str, ask: "Callable[[Service], Coroutine[Any, Any, int]]") -> None:
        """Asks, and ends the program with what that comes to."""

        async def asked() -> int:
            async with self._open_client(url or self._default_url(), token) as client:
                return await ask(Service(client, self._ids))

        try:
            code = asyncio.run(asked())
        except ProblemError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(EXIT_PROBLEM) from None
        except httpx.HTTPError as error:
            typer.echo(f"no answer from {url or self._default_url()}: {type(error).__name__}", err=True)
            raise typer.Exit(EXIT_PROBLEM) from None
        raise typer.Exit(code)


class Service:
    """The service's routes for operators."""

    def __init__(self, client: httpx.AsyncClient, ids: Ids) -> None:
        self._client, self._ids = client, ids

    async def get(self, path: str, **params: str) -> Any:
        """What a read answers."""
        return _json(await self._client.get(f"/v1/operations/{path}", params=params))

    async def post(self, path: str, body: Any = None) -> Any:
        """What a command answers."""
        headers = {"Idempotency-Key": self._ids.new()}
        return _json(await self._client.post(f"/v1/operations/{path}", json=body, headers=headers))

    async def record(self, parked_id: str, at: str) -> dict[str, Any]:
        """The record that is meant: the one at ``topic|partition|offset``, else the first that waits."""
        if at:
            topic, partition, offset = at.split("|")
            return {"topic": topic, "partition": int(partition), "offset": int(offset)}
        first = (await self.get(f"parked/{parked_id}"))["first"]
        return {name: first[name] for name in ("topic", "partition", "offset")}

    async def follow(self, request: Any, wait_s: int) -> int:
        """Waits for a request's end and prints it; the exit code."""
        give_up_at = asyncio.get_running_loop().time() + wait_s
        while request["state"] == "requested" and asyncio.get_running_loop().time() < give_up_at:
            await asyncio.sleep(LOOK_EVERY_S)
            request = await self.get(f"parking-requests/{request['request_id']}")
        typer.echo(json.dumps(request, ensure_ascii=False))
        return 0 if request["state"] in ("done", "proposed", "withdrawn") else EXIT_NOT_DONE


def _json(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json()
    try:
        problem = answer.json()
        told = f"{problem['code']}: {problem['title']}"
        raise ProblemError(f"{told} ({problem['detail']})" if "detail" in problem else told)
    except (ValueError, KeyError):
        raise ProblemError(f"HTTP {answer.status_code}") from None


def _at(value: str) -> str:
    parts = value.split("|")
    if value and not (len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit()):  # noqa: PLR2004 - as list shows it
        raise typer.BadParameter("topic|partition|offset, as list shows it")
    return value


def _reason(value: str) -> str:
    if value not in REASONS:
        raise typer.BadParameter(f"one of {', '.join(REASONS)}")
    return value


ParkedId = Annotated[str, typer.Argument(help="An id from the list.")]
RequestId = Annotated[str, typer.Argument(help="The id that the proposal was given.")]
At = Annotated[str, typer.Option(callback=_at, help="topic|partition|offset; else the first record that waits.")]
Reason = Annotated[str, typer.Option("--reason", callback=_reason, help=f"One of {', '.join(REASONS)}.")]
Token = Annotated[str, typer.Option(envvar="PARKED_TOKEN", help="Who asks: a token with the scope operations.parking.")]
Url = Annotated[str, typer.Option(envvar="PARKED_URL", help="The service's API; else this machine's.")]
Wait = Annotated[int, typer.Option("--wait", min=0, max=WAIT_MAX_S, help="Seconds to wait for the owner to do it.")]


def _add_asking(app: typer.Typer, desk: Desk) -> None:
    @app.command("repair")
    def repair(
        parked_id: ParkedId,
        event: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The whole corrected event, as JSON.")],
        reason: Reason,
        token: Token,
        at: At = "",
        url: Url = "",
        wait_s: Wait = WAIT_S,
    ) -> None:
        """Has another event stand in for a flawed record; redrive then applies it."""
        try:
            corrected = json.loads(event.read_bytes())
        except ValueError:
            raise typer.BadParameter(f"{event} is not JSON") from None

        async def ask(service: Service) -> int:
            record = await service.record(parked_id, at)
            body = {"parked_id": parked_id, "record": record, "event": corrected, "reason_code": reason}
            return await service.follow(await service.post("parked-repairs", body), wait_s)

        desk.run(url, token, ask)

    @app.command("redrive")
    def redrive(parked_id: ParkedId, reason: Reason, token: Token, url: Url = "", wait_s: Wait = WAIT_S) -> None:
        """Has a key's records tried again in their order, until one fails."""

        async def ask(service: Service) -> int:
            body = {"parked_id": parked_id, "reason_code": reason}
            return await service.follow(await service.post("parked-redrives", body), wait_s)

        desk.run(url, token, ask)

    @app.command("discard")
    def discard(parked_id: ParkedId, reason: Reason, token: Token, at: At = "", url: Url = "") -> None:
        """Proposes that a flawed record is never applied; somebody else must confirm it."""

        async def ask(service: Service) -> int:
            body = {"parked_id": parked_id, "record": await service.record(parked_id, at), "reason_code": reason}
            return await service.follow(await service.post("parked-discards", body), 0)

        desk.run(url, token, ask)


def _add_deciding(app: typer.Typer, desk: Desk) -> None:
    @app.command("confirm")
    def confirm(request_id: RequestId, token: Token, url: Url = "", wait_s: Wait = WAIT_S) -> None:
        """Confirms a discard that somebody else proposed."""

        async def ask(service: Service) -> int:
            return await service.follow(await service.post(f"parking-requests/{request_id}/confirmation"), wait_s)

        desk.run(url, token, ask)

    @app.command("withdraw")
    def withdraw(request_id: RequestId, token: Token, url: Url = "") -> None:
        """Closes a proposed discard; the record goes on waiting."""

        async def ask(service: Service) -> int:
            return await service.follow(await service.post(f"parking-requests/{request_id}/withdrawal"), 0)

        desk.run(url, token, ask)

    @app.command("requests")
    def requests(
        token: Token,
        state: Annotated[str, typer.Option(help="proposed, requested, done, still_failing, refused, withdrawn.")] = (
            "proposed"
        ),
        url: Url = "",
    ) -> None:
        """Lists requests in one state, one JSON object each; by default the discards that wait for a second person."""

        async def ask(service: Service) -> int:
            for request in (await service.get("parking-requests", state=state))["items"]:
                typer.echo(json.dumps(request, ensure_ascii=False))
            return 0

        desk.run(url, token, ask)
