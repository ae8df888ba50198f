"""Keeps what each key has received and sent, inside the key's own document."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.eventing.incoming import Incoming
from services.eventing.ports import Document

INBOX = "inbox"
"""The field of a key document that belongs to eventing:
``{last: {topic: [sequence, event id]}, sent: {topic: sequence}, parked: bool}``."""

_NOTHING: Mapping[str, Any] = {}
_EMPTY: Mapping[str, Any] = {"last": {}, "sent": {}}


class SequenceGapError(Exception):
    """A key's next event is not the one after its last: something was lost on the way. Stops the process."""


class IdentityError(Exception):
    """Another event stands under a sequence that was received already: two histories of one key. Stops the process."""


class Inboxes:
    """The inboxes of one batch's keys, for one try of its transaction; the loaded documents stay as they are."""

    __slots__ = ("_documents", "_ids", "_last", "_topic", "parked")

    def __init__(self, topic: str, documents: Mapping[str, Document]) -> None:
        self._topic = topic
        self._documents = documents
        self._last: dict[str, int] = {}
        self._ids: dict[str, str] = {}
        self.parked: set[str] = set()
        """The keys whose records wait."""
        for key, document in documents.items():
            inbox = document.get(INBOX)
            if inbox is None:  # made by a command before the first event came
                continue
            if (known := inbox["last"].get(topic)) is not None:
                self._last[key], self._ids[key] = known
            if inbox["parked"]:
                self.parked.add(key)

    def take(self, incoming: Iterable[Incoming]) -> list[Incoming]:
        """Counts records as received, in order; returns the new ones, without the relay's repeats.

        Raises ``SequenceGapError`` and ``IdentityError``.
        """
        last, ids = self._last, self._ids
        fresh: list[Incoming] = []
        append = fresh.append
        for each in incoming:  # hot
            key, sequence = each.key, each.sequence
            known = last.get(key, 0)
            if sequence == known + 1:
                last[key] = sequence
                ids[key] = each.event_id
                append(each)
            elif sequence > known:
                raise SequenceGapError(f"sequence {sequence} after {known} {_place(each)}")
            elif sequence == known and ids[key] != each.event_id:
                raise IdentityError(f"sequence {sequence} under another event id {_place(each)}")
        return fresh

    def sent(self, key: str, topic: str) -> int:
        """The last sequence that this key's document counts for an own topic."""
        return sent_by(self._documents.get(key, {}), topic)

    def documents(
        self,
        keys: Iterable[str],
        changed: Mapping[str, Document],
        sent: Mapping[str, Mapping[str, int]],
    ) -> list[Document]:
        """What to write of ``keys``: the handler's changes or what was loaded, with the inbox brought up to date."""
        topic, last, ids, parked, loaded = self._topic, self._last, self._ids, self.parked, self._documents
        written: list[Document] = []
        for key in keys:  # hot
            before = loaded.get(key, _NOTHING)
            inbox = before.get(INBOX) or _EMPTY
            received = inbox["last"].copy()
            received[topic] = [last[key], ids[key]]
            counted = inbox["sent"]
            if key in sent:
                counted = counted | sent[key]
            document = dict(changed.get(key, before))
            document["_id"] = key
            document[INBOX] = {"last": received, "sent": counted, "parked": key in parked}
            written.append(document)
        return written


def sent_by(document: Document, topic: str) -> int:
    """The last sequence that a key's document counts for an own topic."""
    inbox: dict[str, Any] = document.get(INBOX, {})
    return int(inbox.get("sent", {}).get(topic, 0))


def after_operation(document: Document, sent: Mapping[str, int], *, parked: bool) -> Document:
    """A key's document once operators' work on its queue is done: nothing was received, something may have been sent.

    The flag is written with the queue, in one transaction: a key with records is never free, one without never stuck.
    """
    inbox = document[INBOX]
    assert inbox["parked"]
    return {**document, INBOX: {**inbox, "sent": inbox["sent"] | sent, "parked": parked}}


def _place(each: Incoming) -> str:
    """Where a record stands; no key: it may be a person's id and errors are logged."""
    return f"on {each.record.topic}|{each.record.partition} at offset {each.record.offset}"
