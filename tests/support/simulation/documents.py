"""Keeps one database's documents with their versions, unique values and a majority point; knows no network."""

import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions

from services.eventing.ports import Document, Index, Where
from tests.support.memory_store import index_entries, matches

Place = tuple[str, str]
"""Collection and id of a document."""
UniqueKey = tuple[str, str, str]
"""Collection, index name, and the value's text."""

CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True)


class Body(NamedTuple):
    """One state of a document: its bytes, and the same decoded, which nobody may change."""

    raw: bytes
    view: Document


class Version(NamedTuple):
    """A document from a commit on; no body: it does not exist."""

    at: int
    body: Body | None


def stored(document: Mapping[str, Any]) -> Body:
    """The document as a database keeps it; refuses what BSON has no type for."""
    assert isinstance(document["_id"], str), "ids are strings"
    raw = bson.encode(document)
    return Body(raw, bson.decode(raw, CODEC))


def copied(fields: Mapping[str, Any]) -> Document:
    """The fields as they arrive at the server, whatever their sender does to them meanwhile."""
    return bson.decode(bson.encode(fields), CODEC)


def fetched(body: Body) -> Document:
    """A copy of the document for a client."""
    return bson.decode(body.raw, CODEC)


class Documents:
    """Versions by commit number. ``now`` is the last commit, ``majority`` the last that no failover can take back."""

    def __init__(self) -> None:
        self.now = 0
        self.majority = 0
        self.collections: set[str] = set()
        self.unique: dict[str, list[Index]] = {}
        self.holders: dict[UniqueKey, tuple[int, str | None]] = {}
        """Who holds a unique value (nobody: it was given up), and since which commit."""
        self._versions: dict[Place, list[Version]] = {}
        self._ids: dict[str, list[str]] = {}

    def prepare(self, collections: Sequence[str], indexes: Sequence[Index]) -> None:
        """Creates what is missing, as the process's first act."""
        self.collections.update(collections)
        for index in indexes:
            assert index.collection in self.collections, f"{index.collection} has an index and was never declared"
            known = self.unique.setdefault(index.collection, [])
            if index.unique and index not in known:
                known.append(index)

    def at(self, place: Place, point: int) -> Body | None:
        """The document as of a commit number."""
        for version in reversed(self._versions.get(place, ())):
            if version.at <= point:
                return version.body
        return None

    def changed_since(self, place: Place, point: int) -> bool:
        """Whether a later commit wrote the document."""
        versions = self._versions.get(place)
        return bool(versions) and versions is not None and versions[-1].at > point

    def claims(self, collection: str, body: Body | None) -> list[UniqueKey]:
        """What a document takes in the collection's unique indexes."""
        indexes = self.unique.get(collection)
        if body is None or not indexes:
            return []
        return [(collection, each.name, repr(entry)) for each in indexes for entry in index_entries(each, body.view)]

    def commit(self, writes: Mapping[Place, Body | None]) -> int:
        """Makes the writes visible under the next number, which is returned."""
        self.now += 1
        for place, body in writes.items():
            self._free(place, self.now)
            versions = self._versions.get(place)
            if versions is None:
                versions = self._versions[place] = []
                bisect.insort(self._ids.setdefault(place[0], []), place[1])
            versions.append(Version(self.now, body))
        for place, body in writes.items():
            for key in self.claims(place[0], body):
                self.holders[key] = (self.now, place[1])
        return self.now

    def roll_back(self) -> None:
        """Forgets every commit above the majority point, as a failover does."""
        for versions in self._versions.values():
            while versions and versions[-1].at > self.majority:
                versions.pop()
        self.now = self.majority
        self.holders.clear()
        for place, versions in self._versions.items():
            for key in self.claims(place[0], versions[-1].body if versions else None):
                self.holders[key] = (versions[-1].at, place[1])

    def trim(self, point: int) -> None:
        """Drops versions that no reader at ``point`` or later can see."""
        for versions in self._versions.values():
            while len(versions) > 1 and versions[1].at <= point:
                del versions[0]

    def select(
        self, collection: str, where: Where, point: int, own: Mapping[Place, Body | None], after: str = ""
    ) -> Iterator[Body]:
        """Matching documents in the order of their ids beyond ``after``, with a transaction's own writes on top."""
        for each in self._candidates(collection, where, own, after):
            place = (collection, each)
            body = own[place] if place in own else self.at(place, point)
            if body is not None and _passes(body.view, where):
                yield body

    def _candidates(self, collection: str, where: Where, own: Mapping[Place, Body | None], after: str) -> Sequence[str]:
        ids: Sequence[str] = self._ids.get(collection, [])
        condition = where.get("_id")
        if isinstance(condition, str):
            ids = [condition]
        elif isinstance(condition, Mapping) and "$in" in condition:
            ids = sorted(set(condition["$in"]))
        elif own:
            ids = sorted({*ids, *(each for name, each in own if name == collection)})
        return ids[bisect.bisect_right(ids, after) :] if after else ids

    def _free(self, place: Place, point: int) -> None:
        """Gives up what the last version held in the unique indexes."""
        versions = self._versions.get(place)
        if not versions or place[0] not in self.unique:
            return
        for key in self.claims(place[0], versions[-1].body):
            self.holders[key] = (point, None)


def _passes(view: Document, where: Where) -> bool:
    """As ``matches``, with a short way for a text that equals a top-level field."""
    for name, condition in where.items():
        if type(condition) is str and "." not in name:
            actual = view.get(name)
            if actual == condition:
                continue
            if type(actual) is not list:
                return False
        if not matches(view, {name: condition}):
            return False
    return True
