"""Logs hold declared fields of declared types, and no value of anybody's."""

import logging

import pytest

from services.runtime import logs
from services.runtime.problems import refused
from tests.support.canaries import CANARIES, logged


def test_a_line_says_what_happened_in_which_process() -> None:
    with logged() as log:
        logs.logger("services.notes").info("row published", topic="registry.volunteers", partition=3, offset=17)
    (line,) = log.lines
    assert line["time"].endswith("Z")
    del line["time"]
    assert line == {
        "event": "row published",
        "level": "info",
        "module": "services.notes",
        "service": "notes",
        "process": "api",
        "topic": "registry.volunteers",
        "partition": 3,
        "offset": 17,
    }


@pytest.mark.parametrize(
    ("fields", "refused_names"),
    [
        ({"payload": CANARIES["name"]}, ["payload"]),
        ({"code": CANARIES["name"]}, ["code"]),
        ({"code": {"phone": CANARIES["phone"]}}, ["code"]),
        ({"code": "x" * 201}, ["code"]),
        ({"code": "one\ntwo"}, ["code"]),
        ({"offset": CANARIES["phone"]}, ["offset"]),
        ({"offset": True, "status": 1.5}, ["status"]),
        ({"frames": [CANARIES["name"]]}, ["frames"]),
        ({CANARIES["name"]: 1, "a" * 200: 2}, []),
    ],
)
def test_a_field_that_is_not_declared_is_left_out_with_its_value(
    fields: dict[str, object], refused_names: list[str]
) -> None:
    with logged(refusing=True) as log:
        logs.logger("m").info("something happened", **fields)
    (line,) = log.lines
    assert line["refused"] == refused_names
    assert not line.keys() & {"payload", "code", "frames", "status"}


@pytest.mark.parametrize("event", [CANARIES["name"], f"call {CANARIES['phone']}", "Registered", "x" * 200, ""])
def test_an_event_with_a_value_in_it_is_left_out(event: str) -> None:
    with logged(refusing=True) as log:
        logs.logger("m").info(event)
    assert log.lines[0]["event"] == "refused event"


def test_what_was_left_out_is_counted() -> None:
    counts: list[int] = []
    with logged(refusing=True) as log:
        logs.configure("notes", "api", stream=log.stream, on_refused=counts.append)
        logs.logger("m").info("something happened", a=1, b=2, code="fine")
        logs.logger("m").info("something happened", code="fine")
    assert counts == [2]


def test_an_exception_is_told_by_class_and_place_and_its_message_only_if_it_is_ours() -> None:
    with logged() as log:
        for number in range(3):
            try:
                break_somehow(number)
            except (KeyError, OSError, refused("x").__class__) as error:
                logs.logger("m").error("it broke", exc_info=error)
    foreign, system, ours = log.lines
    assert foreign["error"] == "builtins.KeyError"
    assert "error_detail" not in foreign
    assert any("break_somehow" in frame for frame in foreign["frames"])
    assert (system["error"], system["error_detail"]) == ("builtins.FileNotFoundError", "No such file or directory")
    assert (ours["error"], ours["error_detail"]) == ("services.runtime.problems.RefusedError", "note_unknown")
    assert [frame.split(" ")[0] for frame in ours["frames"]] == ["KeyError", "RefusedError", "RefusedError"]


NOTHING: dict[str, str] = {}


def break_somehow(number: int) -> None:
    match number:
        case 0:
            NOTHING[CANARIES["phone"]]
        case 1:
            open(f"/nowhere/{CANARIES['name']}").close()  # noqa: PTH123 - it fails
        case _:
            try:
                NOTHING[CANARIES["phone"]]
            except KeyError as error:
                raise refused("note_unknown") from error


def test_what_libraries_log_comes_without_the_values_they_put_in() -> None:
    with logged() as log:
        logging.getLogger("aiokafka").error("Unable connect to node with id %s: %s", 1, CANARIES["phone"])
        logging.getLogger("asyncio").error(f"Task exception was never retrieved {CANARIES['name']}")  # noqa: G004
        logging.getLogger("pymongo").info("%s", CANARIES["phone"])
        try:
            int(CANARIES["name"])
        except ValueError:
            logging.getLogger("faust").exception("Crashed: %r", CANARIES["name"])
    connect, asyncio_line, crashed = log.lines
    assert connect["template"] == "Unable connect to node with id %s: %s"
    assert connect["source"].startswith("test_logs.py:")
    assert "template" not in asyncio_line
    assert crashed["error"] == "builtins.ValueError"
    assert {line["event"] for line in log.lines} == {"library log"}


def test_what_eventing_logs_comes_with_its_words() -> None:
    with logged() as log:
        logging.getLogger("services.eventing.door").critical(
            "the process ends with %d: %s", 75, "LogGapError at x.py:1"
        )
    (line,) = log.lines
    assert (line["level"], line["message"]) == ("error", "the process ends with 75: LogGapError at x.py:1")


def test_names_of_fields_and_types_are_what_a_line_can_hold() -> None:
    assert all(name.isidentifier() and name.islower() for name in logs.FIELDS)
    assert all(field.meaning for field in logs.FIELDS.values())
