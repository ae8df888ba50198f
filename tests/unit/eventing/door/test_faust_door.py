"""What ends the process is told without values; its limits fit each other."""

import asyncio
from datetime import datetime

import pytest

from services.eventing.door.faust_door import STOP_WITHIN_S, FaustDoorSettings, _app, describe
from services.eventing.door.logic import ABANDON_WITHIN_S, FINISH_WITHIN_S, LogGapError
from services.eventing.inbox import SequenceGapError
from tests.support.counting import CountingHandler
from tests.support.memory_store import MemoryStore
from tests.support.ports import make_ports
from tests.support.witness import Witness

LOOKS_AGAIN_WITHIN_MS = 10_000
SECRET = "a value that no log may show"


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_our_own_errors_are_told_with_their_message() -> None:
    told = describe(raised(SequenceGapError("sequence 3 after 1 on hours.entries|0")))
    assert told.startswith("services.eventing.inbox.SequenceGapError(sequence 3 after 1 on hours.entries|0) at ")
    assert "test_faust_door.py" in told
    assert "raised" in told


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), AssertionError(SECRET)])
def test_other_errors_are_told_by_type_and_place_only(error: Exception) -> None:
    told = describe(raised(LogGapError("no record at offset 7"), raised(error)))
    assert SECRET not in told
    assert f"because of builtins.{type(error).__name__} at test_faust_door.py" in told


def test_a_context_that_was_suppressed_is_not_told() -> None:
    def suppressed() -> None:
        try:
            datetime.fromisoformat(SECRET)
        except ValueError:
            raise LogGapError("no record") from None

    with pytest.raises(LogGapError) as caught:
        suppressed()
    assert "because of" not in describe(caught.value)


def test_a_stop_has_time_to_finish_and_to_abandon_within_five_seconds() -> None:
    assert FINISH_WITHIN_S + ABANDON_WITHIN_S < STOP_WITHIN_S < 5


async def test_topics_that_could_not_be_seen_are_looked_at_again_within_seconds() -> None:
    # A member that joined meanwhile has no partition: found by a chaos run in which a broker was killed at that moment.
    ports = make_ports(MemoryStore())
    app = _app(CountingHandler(), ports, Witness(), FaustDoorSettings("nowhere:1"), asyncio.Event())
    assert app.conf.consumer_metadata_max_age_ms <= LOOKS_AGAIN_WITHIN_MS
