"""What a process has read or written, its later reads see: also those that a new primary answers."""

import random
from collections.abc import Mapping
from typing import Any

from bson import Timestamp
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent, CommandSucceededEvent

from services.eventing.ports import Document, Transaction
from services.runtime.mongo import MongoStore

DATABASE = "causality"


class Commands(CommandListener):
    """Writes down, in order, what times were asked for and answered."""

    def __init__(self) -> None:
        self.asked: list[Timestamp | None] = []
        self.answered: list[Timestamp] = []

    def started(self, event: CommandStartedEvent) -> None:
        concern: Mapping[str, Any] = event.command.get("readConcern", {})
        if concern.get("level") in {"majority", "snapshot"}:
            self.asked.append(concern.get("afterClusterTime"))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if "operationTime" in event.reply:
            self.answered.append(event.reply["operationTime"])

    def failed(self, event: object) -> None:
        """Tells nothing of times."""


async def test_every_read_asks_for_what_was_seen_before_it(mongodb_uris: Mapping[str, str]) -> None:
    commands = Commands()
    client = AsyncMongoClient[Document](mongodb_uris["hours"], event_listeners=[commands])
    store = MongoStore(client, DATABASE, random.Random(1))
    await store.prepare(["things"], [])
    await store.take_over("owner")

    async def write(tx: Transaction) -> None:
        await tx.replace("things", [{"_id": "a"}])

    async def seen_by(read: str) -> None:
        latest = max(commands.answered)
        commands.asked.clear()
        match read:
            case "get":
                await store.get("things", ["a"])
            case "find":
                await store.find("things", {}, limit=1)
            case _:
                await store.transact(write, owner=None if read == "transaction" else "owner")
        asked = [each for each in commands.asked if each is not None]
        assert asked, f"{read} asked for no time"
        assert asked[0] >= latest, f"{read} may be answered with what stood before"

    try:
        await store.transact(write)
        for read in ("get", "find", "transaction", "owned", "get", "owned", "find"):
            await seen_by(read)
    finally:
        await store.close()
