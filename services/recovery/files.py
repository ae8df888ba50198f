"""Writes and reads a backup's files: one gzipped BSON file a collection, as bsondump reads them, and a manifest."""

import gzip
import hashlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Self, cast

import bson
import msgspec
from bson.codec_options import CodecOptions

from services.eventing.ports import Document

FORMAT: Final = 1
"""Of the manifest and the files; a change of either is a new number, and restores say so."""
MANIFEST: Final = "manifest.json"
SUFFIX: Final = ".bson.gz"
PARTIAL: Final = ".partial"
STAMP: Final = "%Y%m%dT%H%M%SZ"
COMPRESSION_LEVEL: Final = 6
READ_BYTES: Final = 1_048_576
LENGTH_BYTES: Final = 4
_CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True)


class BackupBrokenError(Exception):
    """A file of a backup is missing, has changed, or does not hold what the manifest says. Names the file."""


class Collection(msgspec.Struct, frozen=True):
    """One collection in a backup. ``sha256`` is of the file as it lies there."""

    documents: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself: counts, digests, positions; no value of any document but those."""

    format: int
    schema_version: int
    service: str
    part: str
    """``data`` or ``keys``."""
    taken_at: datetime
    """Before the snapshot began: nothing that the backup lacks was committed earlier."""
    seconds: float
    collections: dict[str, Collection]
    positions: dict[str, int]
    """By processor, topic and partition: the next offset."""
    changes: int
    """The number of the last change of the feed."""


def stamp_of(at: datetime) -> str:
    """The name of a backup taken then; names sort as times do."""
    return at.astimezone(UTC).strftime(STAMP)


class Writer:
    """Writes one backup folder. It has its name only when it is whole: until then the name ends in ``.partial``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partial = folder.with_name(folder.name + PARTIAL)
        self.collections: dict[str, Collection] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True, mode=0o700)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self._partial, ignore_errors=True)

    def collection(self, name: str) -> "CollectionFile":
        """A file to write a collection's raw documents to."""
        return CollectionFile(self._partial / f"{name}{SUFFIX}", name, self.collections)

    def finish(self, manifest: Manifest) -> None:
        """Writes the manifest, makes all of it durable, and gives the folder its name."""
        write_durably(self._partial / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        _sync_folder(self._partial)
        self._partial.rename(self._folder)
        _sync_folder(self._folder.parent)


class CollectionFile:
    """One collection's file while it is written."""

    def __init__(self, path: Path, name: str, told: dict[str, Collection]) -> None:
        self._path, self._name, self._told = path, name, told
        self._documents = 0

    def __enter__(self) -> Self:
        self._raw = self._path.open("wb")
        # Without name and time in its head, equal documents make equal files.
        self._zipped = gzip.GzipFile("", "wb", COMPRESSION_LEVEL, self._raw, mtime=0)
        return self

    def write(self, batch: bytes) -> None:
        """Adds raw documents that stand one after another."""
        self._documents += count_documents(batch)
        self._zipped.write(batch)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._zipped.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        if kind is None:
            self._told[self._name] = Collection(self._documents, self._path.stat().st_size, sha256_of(self._path))


def count_documents(batch: bytes) -> int:
    """How many BSON documents stand one after another; each begins with its own length."""
    at = count = 0
    while at < len(batch):
        at += int.from_bytes(batch[at : at + LENGTH_BYTES], "little")
        count += 1
    assert at == len(batch), "whole documents"
    return count


def sha256_of(path: Path) -> str:
    """The digest of a file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
    return digest.hexdigest()


def write_durably(path: Path, content: bytes) -> None:
    """Replaces a file by one that is on the disk when this returns; readers see the old or the new one."""
    beside = path.with_name(path.name + PARTIAL)
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_manifest(folder: Path) -> Manifest:
    """A backup's manifest. Raises ``BackupBrokenError``."""
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupBrokenError(f"{path}: no readable manifest") from error
    if manifest.format != FORMAT:
        raise BackupBrokenError(f"{path}: format {manifest.format}, this release reads {FORMAT}")
    return manifest


def verify(folder: Path) -> Manifest:
    """Reads every file of a backup and compares digests and counts. Raises ``BackupBrokenError``, naming the file."""
    manifest = read_manifest(folder)
    found = {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")}
    if found != manifest.collections.keys():
        odd = sorted(found ^ manifest.collections.keys())
        raise BackupBrokenError(f"{folder}: files and manifest differ: {', '.join(odd)}")
    for name, told in manifest.collections.items():
        path = folder / f"{name}{SUFFIX}"
        if sha256_of(path) != told.sha256:
            raise BackupBrokenError(f"{path}: has changed since it was written")
        if sum(1 for _ in documents_in(folder, name)) != told.documents:
            raise BackupBrokenError(f"{path}: another number of documents than the manifest says")
    return manifest


def documents_in(folder: Path, collection: str) -> Iterator[dict[str, Any]]:
    """A collection's documents, in the order of their ids."""
    with gzip.open(folder / f"{collection}{SUFFIX}", "rb") as file:
        yield from bson.decode_file_iter(cast("IO[bytes]", file), _CODEC)


def remove(folder: Path) -> None:
    """Removes a backup. Its name goes first, so that what is left of an interrupted removal is no backup."""
    gone = folder if folder.name.endswith(PARTIAL) else folder.rename(folder.with_name(folder.name + PARTIAL))
    shutil.rmtree(gone)
