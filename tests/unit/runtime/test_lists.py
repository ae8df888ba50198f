"""A list is taken in chunk by chunk, and what became of its rows is told once."""

from functools import partial
from typing import Annotated, Any

import msgspec
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel
from starlette.responses import Response

from services.eventing.ports import StoreUnavailableError, Transaction
from services.runtime.cells import CellError
from services.runtime.commands import IDEMPOTENCY, Command, Work, command
from services.runtime.http import build_app
from services.runtime.lists import ERRORS_SHOWN_MAX, Tally, csv_body, in_chunks, report_as, take_in_chunks
from services.runtime.outcomes import Accepted, Outcome
from services.runtime.problems import SHEET_PROBLEMS, ProblemTable, refusals
from tests.support.asgi import Answer, call
from tests.support.memory_store import MemoryStore
from tests.support.ports import make_ports
from tests.support.tokens import command_headers, http_settings

WORDS = "words"


class Report(BaseModel):
    """What a list answers."""

    dry_run: bool
    rows: int
    accepted: int
    unchanged: int
    refused: int
    errors: list[dict[str, Any]]
    errors_left_off: int


class Words:
    """A service that takes words, two a chunk; it remembers which chunks it was asked to prepare."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.prepared: list[list[str]] = []
        self.app = self._build()

    def _build(self) -> FastAPI:
        router = APIRouter()

        @router.post("/v1/words", response_model=Report, openapi_extra=refusals("unsupported_media_type"))
        async def post_words(
            request: Request, command: Annotated[Command, Depends(command("words.write"))]
        ) -> Response:
            chunks = in_chunks((await csv_body(request)).decode().split(), 2)
            report = partial(report_as, Report, problems=command.problems, dry_run=False)
            return await take_in_chunks(command, chunks, self._work, report, prepare=self._prepare)

        return build_app(
            service="words",
            ports=make_ports(self.store),
            settings=http_settings(),
            problems=SHEET_PROBLEMS,
            routers=[router],
        )

    async def _prepare(self, chunk: Any) -> None:
        self.prepared.append(list(chunk))

    def _work(self, chunk: Any) -> Work:
        async def work(tx: Transaction) -> Outcome:
            await tx.insert(WORDS, [{"_id": word} for word in chunk])
            return Accepted(msgspec.to_builtins(Tally(rows=len(chunk), accepted=len(chunk))))

        return work

    def stored(self) -> list[str]:
        return sorted(self.store.documents(WORDS))

    async def send(self, body: bytes, *, key: str = "k", media_type: str = "text/csv") -> Answer:
        headers = {**command_headers(["words.write"], key), "Content-Type": media_type}
        return await call(self.app, "POST", "/v1/words", headers=headers, body=body)


@pytest.mark.parametrize(
    ("rows", "chunks"),
    [([], [[]]), ([1], [[1]]), ([1, 2], [[1, 2]]), ([1, 2, 3, 4, 5], [[1, 2], [3, 4], [5]])],
)
def test_rows_are_cut_into_chunks_and_no_rows_are_one(rows: list[int], chunks: list[list[int]]) -> None:
    assert in_chunks(rows, 2) == chunks


async def test_each_chunk_is_a_command_of_its_own_and_the_answer_adds_them_up() -> None:
    words = Words()
    answer = await words.send(b"a b c d e")
    assert (answer.status, answer.json["rows"], answer.json["accepted"]) == (200, 5, 5)
    assert "idempotency-replayed" not in answer.headers
    assert words.stored() == ["a", "b", "c", "d", "e"]
    assert words.prepared == [["a", "b"], ["c", "d"], ["e"]]
    assert len(words.store.documents(IDEMPOTENCY)) == 3


@pytest.mark.parametrize("body", [b"a b c", b""])
async def test_a_repeat_gets_its_first_answer_and_says_so(body: bytes) -> None:
    words = Words()
    first, again = await words.send(body), await words.send(body)
    assert (again.status, again.body, again.headers["idempotency-replayed"]) == (200, first.body, "true")


async def test_another_list_under_the_same_key_is_refused() -> None:
    words = Words()
    await words.send(b"a")
    assert (await words.send(b"b")).code == "idempotency_key_reused"
    assert words.stored() == ["a"]


async def test_a_broken_off_list_stays_as_far_as_it_came_and_goes_on_there() -> None:
    words = Words()

    def fail_in_the_third_chunk(step: str) -> None:
        if step == "commit" and words.store.commits >= 2:
            raise StoreUnavailableError("cut")

    words.store.fault = fail_in_the_third_chunk
    assert (await words.send(b"a b c d e f g")).code == "try_again"
    assert words.stored() == ["a", "b", "c", "d"]
    assert words.prepared == [["a", "b"], ["c", "d"], ["e", "f"]]
    words.store.fault = None
    answer = await words.send(b"a b c d e f g")
    assert (answer.json["rows"], "idempotency-replayed" in answer.headers) == (7, False)
    assert words.stored() == ["a", "b", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize("media_type", ["text/csv; charset=utf-8", "TEXT/CSV"])
async def test_a_list_is_csv_whatever_its_parameters(media_type: str) -> None:
    assert (await Words().send(b"a", media_type=media_type)).status == 200


@pytest.mark.parametrize("media_type", ["", "application/json", "text/csv2"])
async def test_what_is_not_sent_as_csv_is_refused(media_type: str) -> None:
    words = Words()
    answer = await words.send(b"a", media_type=media_type)
    assert (answer.status, answer.code, answer.json["detail"]) == (415, "unsupported_media_type", "send text/csv")
    assert words.stored() == []


def report(tally: Tally) -> Any:
    """What is told of a dry run."""
    response = report_as(Report, tally, ProblemTable(SHEET_PROBLEMS), dry_run=True)
    return msgspec.json.decode(response.body)


def test_errors_are_told_by_row_with_their_titles() -> None:
    errors = [
        CellError(9, "名称", "cell_empty"),
        CellError(2, "类型", "cell_not_a_choice"),
        CellError(2, "名称", "cell_empty"),
    ]
    assert report(Tally(rows=3, accepted=1, refused=2, errors=errors)) == {
        "dry_run": True,
        "rows": 3,
        "accepted": 1,
        "unchanged": 0,
        "refused": 2,
        "errors": [
            {"row": 2, "column": "类型", "code": "cell_not_a_choice", "title": "不在可选范围内"},
            {"row": 2, "column": "名称", "code": "cell_empty", "title": "此项必填"},
            {"row": 9, "column": "名称", "code": "cell_empty", "title": "此项必填"},
        ],
        "errors_left_off": 0,
    }


def test_errors_beyond_those_shown_are_counted() -> None:
    told = report(Tally(errors=[CellError(row, "名称", "cell_empty") for row in range(ERRORS_SHOWN_MAX + 2, 0, -1)]))
    assert (len(told["errors"]), told["errors_left_off"], told["errors"][0]["row"]) == (ERRORS_SHOWN_MAX, 2, 1)


def test_tallies_add_up() -> None:
    first, second = CellError(2, "名称", "cell_empty"), CellError(3, "名称", "cell_empty")
    whole = Tally(4, 1, 2, 1, [first])
    whole.add(Tally(6, 3, 2, 1, [second]))
    assert whole == Tally(10, 4, 4, 2, [first, second])
