"""Remembers who was erased, beside the keys' backups, so that no backup ever brings a person back."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import bson
import msgspec

from services.recovery import files

ERASED: Final = "erased.json"
"""Ids of people in the keys' folder: ids are ours and say nothing of anybody."""


def read_erased(keys_dir: Path) -> frozenset[str]:
    """Who was erased, by person id."""
    path = keys_dir / ERASED
    return frozenset(msgspec.json.decode(path.read_bytes(), type=list[str])) if path.exists() else frozenset()


def add_erased(keys_dir: Path, people: Iterable[str]) -> None:
    """Adds people to the list; on the disk when this returns."""
    keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    everybody = read_erased(keys_dir) | set(people)
    files.write_durably(keys_dir / ERASED, msgspec.json.encode(sorted(everybody)))


def person_of(key: dict[str, object]) -> str:
    """Whose a key document is."""
    names = key["keyAltNames"]
    assert isinstance(names, list)
    return str(names[0])


def scrub(folder: Path, collection: str, people: frozenset[str]) -> int:
    """Takes these people's keys out of one backup of keys; how many there were. The folder is replaced as a whole."""
    manifest = files.read_manifest(folder)
    if collection not in manifest.collections:
        return 0
    keys = list(files.documents_in(folder, collection))
    kept = [key for key in keys if person_of(key) not in people]
    if len(kept) == len(keys):
        return 0
    old = folder.with_name(folder.name + ".old")
    with files.Writer(folder) as writer:
        with writer.collection(collection) as file:
            for key in kept:
                file.write(bson.encode(key))
        folder.rename(old)
        writer.finish(msgspec.structs.replace(manifest, collections=dict(writer.collections)))
    files.remove(old)
    return len(keys) - len(kept)


def restored_path(keys_dir: Path, service: str) -> Path:
    """Where it stands when a service was restored last: keys made after the restored backup are not there any more,
    and nobody was erased by that.
    """
    return keys_dir / service / "restored.json"


def note_restored(keys_dir: Path, service: str, at: datetime) -> None:
    """Keeps when a service was restored; on the disk when this returns."""
    files.write_durably(restored_path(keys_dir, service), msgspec.json.encode(at))


def last_restored(keys_dir: Path, service: str) -> datetime | None:
    """When a service was restored last, if ever."""
    path = restored_path(keys_dir, service)
    return msgspec.json.decode(path.read_bytes(), type=datetime) if path.exists() else None
