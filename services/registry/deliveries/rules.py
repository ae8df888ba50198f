"""Decides what an event of hours leaves with a volunteer's record: pure, without clock or randomness."""

from typing import Any

import msgspec

from services.contracts.event import BrokenPromiseError, Envelope
from services.contracts.hours import EntryPosted, NoticeRaised, check_reversal
from services.eventing.times import to_text


class Served(msgspec.Struct, frozen=True, gc=False):
    """What a volunteer was credited so far: settled minutes by evidence grade 0 to 3, and the entries they are of."""

    minutes: tuple[int, int, int, int] = (0, 0, 0, 0)
    entries: int = 0


class Notice(msgspec.Struct, frozen=True, gc=False):
    """Something a volunteer is to be told, as codes and numbers; the text is made when it is delivered."""

    notice_id: str
    recipient_id: str
    notice: str
    attendance_id: str
    service_date: str
    minutes: int
    raised_at: str


def decide(served: Served, envelope: Envelope[Any]) -> Served | Notice:
    """The volunteer's record after an entry, or the notice to keep. Raises ``BrokenPromiseError``."""
    match envelope.data:
        case EntryPosted() as event:
            return _credited(served, event)
        case NoticeRaised() as event:
            return Notice(
                notice_id=envelope.id,
                recipient_id=event.recipient_id,
                notice=event.notice,
                attendance_id=event.attendance_id,
                service_date=event.service_date.isoformat(),
                minutes=event.minutes,
                raised_at=to_text(envelope.time),
            )
        case _:
            raise BrokenPromiseError("an event that registry has no use for")


def _credited(served: Served, event: EntryPosted) -> Served:
    check_reversal(event)
    minutes = list(served.minutes)
    if event.state == "settled":
        minutes[event.grade] += event.minutes
    if minutes[event.grade] < 0:
        raise BrokenPromiseError("more minutes were taken back than were ever credited")
    zero, one, two, three = minutes
    return Served((zero, one, two, three), served.entries + 1)
