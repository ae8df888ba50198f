"""Writes structured logs: JSON lines of declared fields, which hold ids and numbers and never a payload value."""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

VALUE_CHARACTERS_MAX: Final = 200
FRAMES_MAX: Final = 20
OUR_PACKAGES: Final = ("services.", "deploy.")


@dataclass(frozen=True, slots=True)
class Field:
    """One declared log field: the type of its value and what it means."""

    kind: type[str] | type[int] | type[float] | type[bool] | type[list[str]]
    meaning: str
    characters_max: int = VALUE_CHARACTERS_MAX


FIELDS: Final[Mapping[str, Field]] = {
    # written by every line
    "level": Field(str, "debug, info, warning, error or critical"),
    "time": Field(str, "when the line was written: real time, UTC"),
    "service": Field(str, "registry, activities, hours, assessment or gateway"),
    "process": Field(str, "api, processor, relay or gateway"),
    "module": Field(str, "the module, or the library, that wrote the line"),
    "refused": Field(list, "names of fields that were left out because undeclared or not of their type"),
    # tracing and HTTP
    "trace_id": Field(str, "W3C trace id of the request or event"),
    "method": Field(str, "HTTP method"),
    "route": Field(str, "HTTP path template, never the path"),
    "status": Field(int, "HTTP status answered"),
    "code": Field(str, "stable code of a refusal or problem"),
    "duration_ms": Field(float, "milliseconds it took"),
    "client": Field(str, "the client that sent a request"),
    "subject": Field(str, "the person or machine a token was issued to; our id"),
    "scope": Field(str, "scope that was used or missing"),
    # facts on their way
    "topic": Field(str, "topic"),
    "partition": Field(int, "partition of the topic"),
    "offset": Field(int, "offset in the partition"),
    "event_id": Field(str, "CloudEvents id"),
    "event_type": Field(str, "CloudEvents type"),
    "sequence": Field(int, "number of the event within its topic and key"),
    "batch_id": Field(str, "id of a sealed batch"),
    "row_id": Field(str, "id of an outbox row"),
    "processor": Field(str, "name positions are kept under"),
    "owner": Field(str, "name of a lease holder or of a database session"),
    "epoch": Field(int, "number of the lease"),
    "events": Field(int, "number of events"),
    "records": Field(int, "number of records"),
    "items": Field(int, "number of items"),
    "attempt": Field(int, "number of the try, from 1"),
    "reason": Field(str, "why, as one of a fixed set of words"),
    "name": Field(str, "name of a piece of due work, a check or a backend"),
    # subjects, always by our own ids
    "volunteer_id": Field(str, "our id of a volunteer"),
    "organisation_id": Field(str, "our id of an organisation"),
    "activity_id": Field(str, "our id of an activity"),
    "session_id": Field(str, "our id of a session"),
    "unit": Field(str, "code of the area table"),
    # failures
    "error": Field(str, "class of an exception"),
    "error_detail": Field(str, "message of an exception of our own, or an operating system's error name"),
    "frames": Field(list, "where an exception came from, innermost last: file:line function"),
    "exit_code": Field(int, "what the process ends with"),
    "source": Field(str, "file and line of a library that logged"),
    "template": Field(str, "what a library logged, before its values were put in"),
    "message": Field(str, "what eventing, which knows no logger of ours, says in its own words", 4_000),
    "advice": Field(str, "what an operator is to do, in a sentence of ours that holds addresses and no secret", 2_000),
    # where a process is
    "host": Field(str, "address a server listens on"),
    "port": Field(int, "port a server listens on"),
    "environment": Field(str, "development or production"),
}
"""All fields there are. Values of text are short and printable ASCII, so that no name of a person fits."""

_EVENT: Final = re.compile(r"[a-z][a-z ,_-]{0,99}")
"""An event is a constant phrase: without digits or capitals no id, number or name fits in."""
_TEXT: Final = re.compile(r"[\x20-\x7e]*")
_TEMPLATE: Final = re.compile(rf"[A-Za-z %.,:;()=_-]{{1,{VALUE_CHARACTERS_MAX}}}")
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def logger(name: str) -> FilteringBoundLogger:
    """The logger of a module. It is mute until ``configure``: structlog's own default would print local variables."""
    if not structlog.is_configured():
        silence()
    return cast("FilteringBoundLogger", structlog.get_logger(module=name))


def configure(
    service: str,
    process: str,
    *,
    level: str = "info",
    stream: TextIO | None = None,
    on_refused: Callable[[int], None] = lambda _: None,
) -> None:
    """Makes every logger of this process, ours and the libraries', write JSON lines to ``stream``
    (standard output).

    ``on_refused`` hears how many fields a line lost because they are not declared.
    """

    def name_process(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"], event["process"] = service, process
        return event

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            name_process,
            _explain_exception,
            _Refuse(on_refused),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stdout),
        cache_logger_on_first_use=False,
    )
    _take_over_standard_logging()


def tracing(trace_id: str) -> AbstractContextManager[None]:
    """Puts the trace's id on every line that is written in the context."""
    return structlog.contextvars.bound_contextvars(trace_id=trace_id)


def silence() -> None:
    """Makes every logger cheap and mute, for simulations and benchmarks."""
    structlog.configure(processors=[], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


class _Refuse:
    """Keeps declared fields of their declared types and drops the rest, naming what it dropped."""

    def __init__(self, on_refused: Callable[[int], None]) -> None:
        self._on_refused = on_refused

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        refused = [name for name, value in event.items() if name != "event" and not _declared(name, value)]
        for name in refused:
            del event[name]
        if not _EVENT.fullmatch(str(event["event"])):
            event["event"] = "refused event"
            refused.append("event")
        if refused:
            # Names of fields come from code; what else a keyword could hold is left out with its value.
            event["refused"] = sorted(name for name in refused if _EVENT.fullmatch(name))
            self._on_refused(len(refused))
        return event


def _declared(name: str, value: object) -> bool:
    field = FIELDS.get(name)
    if field is None:
        return False
    if value is None:
        return True
    if field.kind is str:
        return isinstance(value, str) and len(value) <= field.characters_max and _TEXT.fullmatch(value) is not None
    if field.kind is list:
        return isinstance(value, list) and all(isinstance(item, str) and item.isascii() for item in value)
    return isinstance(value, int | float if field.kind is float else field.kind)


def _explain_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Turns ``exc_info`` into class and frames; a message only if we wrote it: drivers put values into theirs."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["error"] = f"{type(error).__module__}.{type(error).__qualname__}"
        event["frames"] = frames_of(error)
        if (detail := _detail(error)) is not None:
            event["error_detail"] = detail
    return event


def _detail(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)  # strerror of its own may name an address or a path
    return str(error) if type(error).__module__.startswith(OUR_PACKAGES) else None


def frames_of(error: BaseException) -> list[str]:
    """Where an exception came from, causes first, innermost last, at most ``FRAMES_MAX`` lines, without values."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    found = [
        f"{type(link).__name__} at {line}" for link in reversed(chain) for line in _frames_of_one(link.__traceback__)
    ]
    return found[-FRAMES_MAX:]


def _frames_of_one(traceback: TracebackType | None) -> list[str]:
    lines = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        path = "/".join(code.co_filename.split("/")[-3:])
        lines.append(f"{path}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return lines


class _Foreign(logging.Handler):
    """Hands what libraries log to ours: where, and the template without its arguments, which may be payload values."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"source": f"{record.module}.py:{record.lineno}"}
        if record.name.startswith(OUR_PACKAGES):
            fields["message"] = record.getMessage()[: FIELDS["message"].characters_max]
        # A library that formats by itself leaves values in its "template": only plain words pass.
        elif isinstance(record.msg, str) and _TEMPLATE.fullmatch(record.msg):
            fields["template"] = record.msg
        ours = structlog.get_logger(module=record.name)
        write = ours.error if record.levelno >= logging.ERROR else ours.warning
        write("library log", exc_info=record.exc_info or None, **fields)


def _take_over_standard_logging() -> None:
    root = logging.getLogger()
    root.handlers[:] = [_Foreign(logging.WARNING)]
    root.setLevel(logging.WARNING)
