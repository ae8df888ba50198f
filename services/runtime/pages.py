"""Cuts lists into pages whose cursors stay right while rows come and go."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from services.runtime.problems import refused

PAGE_ROWS_MAX: Final = 200
PAGE_ROWS_DEFAULT: Final = 50
CURSOR_CHARACTERS_MAX: Final = 512

T = TypeVar("T")
SortKey = tuple[str | int, ...]
"""The values a list is sorted by, last of them unique: strings and integers."""

_DECODE = msgspec.json.Decoder(tuple[str | int, ...]).decode


class Page(BaseModel, Generic[T]):
    """One page of a list; ``next`` is the cursor of the following page, null at the end."""

    model_config = ConfigDict(frozen=True)

    items: Sequence[T]
    next: str | None = Field(default=None, description="Give it as `after` to get the following page; null at the end.")


class PageRequest(NamedTuple):
    """What page is asked for: at most ``limit`` rows after the sort key ``after`` (none: from the start)."""

    limit: int
    after: SortKey | None


def to_cursor(key: SortKey) -> str:
    """The opaque form of a sort key: URL-safe base64 of its JSON."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode("ascii")


def from_cursor(cursor: str) -> SortKey:
    """The sort key inside a cursor. Raises ``RefusedError`` (``cursor_invalid``) if ``to_cursor`` did not make it."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = _DECODE(raw)
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError) as error:
        raise refused("cursor_invalid") from error
    if not key or to_cursor(key) != cursor:
        raise refused("cursor_invalid")
    return key


async def page_request(
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX, description="Rows a page, at most.")] = PAGE_ROWS_DEFAULT,
    after: Annotated[
        str | None, Query(max_length=CURSOR_CHARACTERS_MAX, description="The `next` of the page before; opaque.")
    ] = None,
) -> PageRequest:
    """The dependency that reads a page's query parameters."""
    return PageRequest(limit, None if after is None else from_cursor(after))


Paging = Annotated[PageRequest, Depends(page_request)]
"""``async def list_units(page: Paging)``."""


def page_of(rows: Sequence[Any], limit: int, item: Callable[[Any], T], key: Callable[[Any], SortKey]) -> Page[T]:
    """The page made of ``rows``, which were read with a limit of ``limit + 1`` so that the end is known."""
    assert len(rows) <= limit + 1
    kept = rows[:limit]
    following = to_cursor(key(kept[-1])) if len(rows) > limit else None
    return Page(items=[item(row) for row in kept], next=following)
