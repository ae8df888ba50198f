"""Makes the bodies of kiosk and roster batches: up to 500 rows, exactly as the batch door takes them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from deploy.history.recording import Line, Reading, Upload
from deploy.history.seasons import compact_text, local_text
from deploy.history.streams import stream

BATCH_ROWS_MAX: Final = 500
RESENT_SHARE: Final = 0.005
"""Batches whose receipt was lost on the way, so that the same bytes come again."""
RESENT_AFTER_S: Final = 12 * 3600
SLIP_PLACEHOLDER: Final = "slip {serial}"
"""Stands for the code printed on a session's slip with this serial; the loader has the slips and puts the code in."""

T = TypeVar("T")


class Batch(NamedTuple):
    """One body, when it is sent, and the lane whose batches keep their order."""

    at_s: int
    lane: str
    name: str
    body: dict[str, Any]


def kiosk_batches(readings: Mapping[Upload, list[Reading]]) -> Iterator[Batch]:
    """A kiosk sends what it read in the order in which it read."""
    for upload, each in readings.items():
        rows = [_reading_row(reading) for reading in sorted(each)]
        device = f"KD{upload.by.removeprefix('ST')}"
        yield from _batches(upload, rows, {"kind": "kiosk", "device_id": device})


def roster_batches(lines: Mapping[Upload, list[Line]]) -> Iterator[Batch]:
    """A leader sends the list in the order in which it was written."""
    for upload, each in lines.items():
        head = {"kind": "roster", "leader_id": f"LD-{upload.by}"}
        yield from _batches(upload, [_line_row(line) for line in each], head)


def is_resent(seed: int, batch: Batch) -> bool:
    """Whether this batch is sent a second time."""
    return stream(seed, "resent", batch.name).random() < RESENT_SHARE


def encode(body: Mapping[str, Any]) -> bytes:
    """The exact bytes of a body."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _batches(upload: Upload, rows: Sequence[dict[str, Any]], head: dict[str, Any]) -> Iterator[Batch]:
    for part, start in enumerate(range(0, len(rows), BATCH_ROWS_MAX), 1):
        numbered = [{"row": number, **row} for number, row in enumerate(rows[start : start + BATCH_ROWS_MAX], 1)]
        name = f"{compact_text(upload.at_s)}-{head['kind']}-{upload.by}-{part}"
        yield Batch(upload.at_s, upload.by, name, {**head, "rows": numbered})


def _reading_row(reading: Reading) -> dict[str, Any]:
    return {
        "session_id": reading.session,
        "number": reading.number,
        "action": reading.action,
        "at": local_text(reading.at_s),
        "proof": None if reading.card is None else {"method": "personal_card", "card": reading.card},
    }


def _line_row(line: Line) -> dict[str, Any]:
    return {
        "session_id": line.session,
        "number": line.number,
        "action": "attended",
        "from": local_text(line.from_s),
        "to": local_text(line.to_s),
        "proof": _slip_proof(line.slip),
    }


def _slip_proof(slip: int | str | None) -> dict[str, Any] | None:
    match slip:
        case None:
            return None
        case int():
            return {"method": "one_time_code", "code": SLIP_PLACEHOLDER.format(serial=slip)}
        case str():
            return {"method": "one_time_code", "code": slip}
