"""Reads what a list is to go on after from a page's cursor, which may be one of another list."""

from services.runtime.pages import PageRequest
from services.runtime.problems import refused


def text_after(page: PageRequest) -> str | None:
    """The one text that a list is sorted by. Raises ``RefusedError`` (``cursor_invalid``) for any other cursor."""
    match page.after:
        case None:
            return None
        case (str() as key,):
            return key
        case _:
            raise refused("cursor_invalid")


def texts_after(page: PageRequest) -> tuple[str, str] | None:
    """The two texts that a list is sorted by. Raises ``RefusedError`` (``cursor_invalid``) for any other cursor."""
    match page.after:
        case None:
            return None
        case (str() as first, str() as second):
            return first, second
        case _:
            raise refused("cursor_invalid")
