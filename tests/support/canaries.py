"""Personal values that tests put in, and the check that none of them comes out where it must not."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog

from services.runtime import logs

CANARIES: Final = {
    "name": "甄金丝雀",
    "citizen_id": "349902195103074514",
    "phone": "15499650417",
    "address": "金丝雀巷七号二单元",
    "birth_date": "1951-03-07",
}
"""A person who is nobody (no area begins with 3499, no operator has 154): no value stands in a text by chance."""


def assert_no_canary(text: str | bytes, where: str) -> None:
    """Fails if any canary's value is in the text, plain or as JSON would escape it; says which, and where."""
    plain = text.decode(errors="replace") if isinstance(text, bytes) else text
    for name, value in CANARIES.items():
        assert value not in plain, f"the canary's {name} is in {where}"
        assert json.dumps(value)[1:-1] not in plain, f"the canary's {name} is in {where}"


class Logged:
    """The log lines of a test."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        """Everything written."""
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Everything written, parsed."""
        return [json.loads(line) for line in self.text.splitlines()]


@contextmanager
def logged(*, refusing: bool = False) -> Iterator[Logged]:
    """Captures the logs of our modules and of libraries; at the end no canary may be in them.

    Nor may a field have been left out as undeclared, for that is a mistake in the code that logs, unless the test is
    about just that (``refusing``).
    """
    captured = Logged()
    before = structlog.get_config()
    logs.configure("notes", "api", level="debug", stream=captured.stream)
    try:
        yield captured
    finally:
        structlog.configure(**before)
    assert_no_canary(captured.text, "the log")
    assert refusing or not [line for line in captured.lines if "refused" in line]
