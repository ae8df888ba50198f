"""Lists the backups of a folder, and removes those beyond what is kept."""

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from services.recovery import files
from services.recovery.files import Manifest

PROM: Final = "backup.prom"
METRIC: Final = "backup_last_success_timestamp_seconds"


class Backup(NamedTuple):
    """One backup in a folder."""

    folder: Path
    manifest: Manifest


def backups_of(root: Path, service: str) -> list[Backup]:
    """The whole backups of a service, the oldest first."""
    folders = sorted(path.parent for path in (root / service).glob(f"*/{files.MANIFEST}"))
    return [Backup(each, files.read_manifest(each)) for each in folders if each.name[-1] == "Z"]


def newest(root: Path, service: str) -> Backup | None:
    """The last backup of a service, if there is one."""
    found = backups_of(root, service)
    return found[-1] if found else None


def prune(root: Path, service: str, keep: int) -> list[str]:
    """Removes all but the newest ``keep`` backups of a service; returns the names of those removed."""
    assert keep >= 1
    old = backups_of(root, service)[:-keep]
    for backup in old:
        files.remove(backup.folder)
    return [backup.folder.name for backup in old]


def tell(root: Path, times: dict[str, datetime]) -> None:
    """Writes when each service was backed up last as Prometheus text, for a node exporter's textfile collector."""
    lines = [
        f"# HELP {METRIC} When the last whole backup of a service was begun.",
        f"# TYPE {METRIC} gauge",
        *(f'{METRIC}{{service="{name}"}} {int(at.timestamp())}' for name, at in sorted(times.items())),
    ]
    files.write_durably(root / PROM, ("\n".join(lines) + "\n").encode())
