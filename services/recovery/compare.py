"""Compares two builds of a projection document by document, and sums the differences up by unit and month."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Final, NamedTuple

from services.eventing.ports import Document, Reads
from services.recovery.projection import Projection

PAGE_DOCUMENTS: Final = 1_000

Bucket = tuple[str, str]
"""Unit and month; an empty month is what belongs to none."""


class Print(NamedTuple):
    """What is remembered of a document: where it counts, whose it is, and the digest of what is compared."""

    bucket: Bucket
    person: str | None
    sha256: bytes


Prints = dict[tuple[str, str], Print]
"""By collection and id."""


class Difference(NamedTuple):
    """One document that differs; ``how`` is ``missing``, ``too many`` or ``other``, seen from the live projection."""

    unit: str
    month: str
    collection: str
    document: str
    how: str


class Verdict(NamedTuple):
    """What a comparison found; ``differences`` are in order of unit, month, collection and document."""

    buckets: int
    documents: int
    people: int
    differences: tuple[Difference, ...]
    people_differing: int
    disordered: int

    @property
    def wrong(self) -> int:
        """Everything that should not be."""
        return len(self.differences) + self.disordered


async def prints_of(reads: Reads, projection: Projection) -> Prints:
    """The prints of all that is compared. Read in one transaction, they are of one instant."""
    prints: Prints = {}
    homes: dict[str, str] = {}

    def home(person: str) -> str:
        return homes.get(person, "")

    for collection in projection.compared:
        after: str | None = None
        while page := await _page(reads, collection, after):
            for document in page:
                if collection == projection.homes:
                    homes[document["_id"]] = projection.home_of(document)
                row = projection.row_of(collection, document, home)
                prints[collection, document["_id"]] = Print((row.unit, row.month), row.person, _digest(row.content))
            after = page[-1]["_id"]
    return prints


async def _page(reads: Reads, collection: str, after: str | None) -> list[Document]:
    where = {} if after is None else {"_id": {"$gt": after}}
    return await reads.find(collection, where, limit=PAGE_DOCUMENTS)


def _digest(content: object) -> bytes:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def digests(prints: Prints) -> dict[Bucket, str]:
    """One digest a unit and month, over all its documents in the order of their names."""
    hashes: defaultdict[Bucket, hashlib._Hash] = defaultdict(hashlib.sha256)
    for (collection, document), each in sorted(prints.items()):
        hashes[each.bucket].update(f"{collection}|{document}|".encode() + each.sha256)
    return {bucket: found.hexdigest() for bucket, found in sorted(hashes.items())}


def compare(live: Prints, rebuilt: Prints, disordered: int = 0) -> Verdict:
    """What differs; the buckets whose digests are equal are not looked into."""
    live_digests, rebuilt_digests = digests(live), digests(rebuilt)
    buckets = live_digests.keys() | rebuilt_digests.keys()
    differing = {each for each in buckets if live_digests.get(each) != rebuilt_digests.get(each)}
    found, people = [], set()
    for name in live.keys() | rebuilt.keys():
        mine, theirs = live.get(name), rebuilt.get(name)
        if mine == theirs or not {each.bucket for each in (mine, theirs) if each is not None} & differing:
            continue
        either = mine or theirs
        assert either is not None
        how = "missing" if mine is None else "too many" if theirs is None else "other"
        found.append(Difference(*either.bucket, *name, how))
        if either.person is not None:
            people.add(either.person)
    everybody = {each.person for each in rebuilt.values() if each.person is not None}
    return Verdict(len(buckets), len(rebuilt), len(everybody), tuple(sorted(found)), len(people), disordered)


def told(verdict: Verdict) -> list[str]:
    """A verdict for an operator, line by line."""
    lines = [f"{verdict.buckets} unit-months, {verdict.documents} documents, {verdict.people} people compared"]
    if verdict.disordered:
        lines.append(f"{verdict.disordered} events have no place in the order that the own topic records")
    if verdict.differences:
        first = verdict.differences[0]
        lines.append(
            f"{len(verdict.differences)} documents of {verdict.people_differing} people differ; the first is "
            f"{first.collection} {first.document} in unit {first.unit or '-'}, month {first.month or '-'}: "
            f"{_WORDS[first.how]}"
        )
    if not verdict.wrong:
        lines.append("no difference")
    return lines


_WORDS: Final[Mapping[str, str]] = {
    "missing": "the live projection lacks it",
    "too many": "only the live projection has it",
    "other": "the live projection has another value",
}
