"""Backs up services one after another, now or again and again, and tells when it last succeeded."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from pymongo.errors import PyMongoError

from services.contracts.topics import SERVICES
from services.eventing.ports import Clock
from services.recovery import catalogue
from services.recovery.backup import take_backup
from services.recovery.files import Manifest
from services.recovery.patience import patient_client
from services.recovery.settings import BackupSettings, database_of
from services.runtime.logs import logger
from services.runtime.metrics import BACKUP_LAST_SUCCESS, Metrics

AGAIN_AFTER_S: Final = 300.0
"""After a failure; the alert on a backup's age rings long after the first."""

_log = logger(__name__)
Tell = Callable[[str], None]


def services_of(settings: BackupSettings) -> tuple[str, ...]:
    """The services to back up. Raises ``ValueError`` for a name that is none."""
    names = tuple(name.strip() for name in settings.backup_services.split(","))
    if unknown := sorted(set(names) - set(SERVICES)):
        raise ValueError(f"BACKUP_SERVICES: {', '.join(unknown)}: no such service")
    return names


async def back_up(settings: BackupSettings, service: str, wall: Clock) -> Manifest:
    """One backup of one service, then those removed that are beyond what is kept."""
    uri, database = database_of(service)
    client = patient_client(uri, f"{service} backup")
    data_dir, keys_dir = settings.backup_dir, settings.backup_keys_dir
    try:
        manifest = await take_backup(client, database, service, data_dir=data_dir, keys_dir=keys_dir, wall=wall)
    finally:
        await client.close()
    for root in (data_dir, keys_dir):
        catalogue.prune(root, service, settings.backup_keep)
    catalogue.tell(data_dir, last_times(settings))
    return manifest


def last_times(settings: BackupSettings) -> dict[str, datetime]:
    """When each service was backed up last; without those that never were."""
    found = ((service, catalogue.newest(settings.backup_dir, service)) for service in services_of(settings))
    return {service: backup.manifest.taken_at for service, backup in found if backup is not None}


async def keep_backing_up(settings: BackupSettings, wall: Clock, metrics: Metrics, stop: asyncio.Event) -> None:
    """Backs up whatever is due until ``stop``. What fails is logged and tried again: the metric tells its age."""
    pause: Callable[[float], Awaitable[None]] = lambda seconds: _wait(stop, seconds)  # noqa: E731
    while not stop.is_set():
        times = last_times(settings)
        for service, at in times.items():
            metrics.set(BACKUP_LAST_SUCCESS, at.timestamp(), service)
        waits = [_due_in(times.get(service), settings, wall) for service in services_of(settings)]
        due = [name for name, wait in zip(services_of(settings), waits, strict=True) if wait <= 0]
        if not due:
            await pause(min(waits))
        elif not await _each(settings, due, wall, metrics, stop):
            await pause(AGAIN_AFTER_S)


def _due_in(last: datetime | None, settings: BackupSettings, wall: Clock) -> float:
    if last is None:
        return 0.0
    return (last + timedelta(hours=settings.backup_every_hours) - wall.now()).total_seconds()


async def _each(
    settings: BackupSettings, due: Sequence[str], wall: Clock, metrics: Metrics, stop: asyncio.Event
) -> bool:
    succeeded = True
    for service in due:
        if stop.is_set():
            break
        try:
            manifest = await back_up(settings, service, wall)
        except (PyMongoError, OSError) as error:
            _log.error("backup failed", name=service, exc_info=error)
            succeeded = False
        else:
            metrics.set(BACKUP_LAST_SUCCESS, manifest.taken_at.timestamp(), service)
            _log.info("backup taken", name=service)
    return succeeded


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
