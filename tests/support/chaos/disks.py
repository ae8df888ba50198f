"""Fills and slows the disk of one server, and brings the server back as an operator would.

A full disk is a limit on the size of files, set on the running process: from then on each write to any file fails
(docs/adr/0096), at the same place as with no space left, whoever the user is and whatever the machine.
"""

import asyncio
import os
import resource
import signal
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.broker import Broker, has_brokers
from deploy.local.database import Database

STOPPED_S: Final = 0.15
GOING_S: Final = 0.05
"""A slow disk: of each fifth of a second the server gets a quarter."""
WRITES_WITHIN_MS: Final = 3_000
NOTICED_S: Final = 1.0
PROBE: Final = "chaos"


async def fill(server: Broker | Database, away_s: float) -> None:
    """Lets all writes of a server fail for a while; one that does not recover is started again."""
    pid = server.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    await asyncio.sleep(away_s)
    if server.is_running:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        await asyncio.sleep(NOTICED_S)
    if not await asyncio.to_thread(takes_writes, server):
        if server.is_running:
            server.kill()
        server.launch()  # here, not in a thread: a server dies with the thread that launched it
        await asyncio.to_thread(server.wait_ready)


def takes_writes(server: Broker | Database) -> bool:
    """Whether a server still does its work. Blocks."""
    if not server.is_running:
        return False
    if isinstance(server, Broker):
        return has_brokers(server.bootstrap)
    try:
        with MongoClient[dict[str, Any]](
            server.uri, serverSelectionTimeoutMS=WRITES_WITHIN_MS, socketTimeoutMS=WRITES_WITHIN_MS
        ) as client:
            client[PROBE][PROBE].insert_one({})
    except PyMongoError:
        return False
    return True


async def slow(server: Broker | Database, away_s: float) -> None:
    """Lets a server, and so its disk, get little done for a while."""
    clock = asyncio.get_running_loop().time
    end = clock() + away_s
    while clock() < end and server.is_running:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_S)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await asyncio.sleep(GOING_S)
