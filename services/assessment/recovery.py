"""Says what of assessment can be rebuilt, compared and restored."""

from collections.abc import Callable
from typing import Any

import msgspec

from services.assessment.facts import store
from services.assessment.scores import store as scores
from services.contracts.assessment import ScorePublished
from services.contracts.event import Envelope
from services.eventing.inbox import INBOX
from services.eventing.ports import Document, Transaction
from services.recovery.projection import Projection, Row
from services.recovery.recovery import Recovery

_OF_NO_MONTH = ""


def row_of(collection: str, document: Document, home: Callable[[str], str]) -> Row:
    """What is compared of a fact, a rollup, a member or a place: all of it, but for whether its key is parked."""
    del home
    content = {name: value for name, value in document.items() if name not in {"_id", INBOX}}
    month = document.get("month", _OF_NO_MONTH)
    match collection:
        case store.MEMBERS:
            content["received"] = document[INBOX]["last"]
            return Row(document.get("home_unit", ""), month, document["_id"], content)
        case store.PLACES:
            content["received"] = document[INBOX]["last"]
            return Row(document.get("unit", ""), month, None, content)
        case store.FACTS:
            return Row(document["home_unit"], month, document["volunteer"], content)
        case store.PARTICIPATION:
            return Row(document["unit"], month, document["member"], content)
        case _:
            return Row(document["unit"], month, None, content)


PROJECTION = Projection(
    collections=(
        store.MEMBERS,
        store.PLACES,
        store.FACTS,
        store.MINUTES,
        store.PARTICIPATION,
        store.ATTENDED,
    ),
    uncompared=(store.UNIT_VERSIONS,),
    after_swap=scores.look_again,
    row_of=row_of,
)


async def take_back(tx: Transaction, envelope: Envelope[Any]) -> None:
    """Remembers which revision of a score was announced, so that the next one follows it."""
    match envelope.data:
        case ScorePublished() as event:
            content = msgspec.json.encode(msgspec.structs.replace(event, revision=0)).decode()
            identity = scores.published_id(event.unit, event.period)
            await scores.save_published(tx, identity, facts_seen=scores.NEVER, revision=event.revision, score=content)
        case _:
            return


RECOVERY = Recovery(take_back, {"kept answers": "there are none yet: assessment takes no commands"}, PROJECTION)
