"""Marks a service's database with the version of its documents, and refuses one that this release cannot read."""

from typing import Final

from services.eventing.ports import AlreadyExistsError, Reads, Store, Transaction
from services.runtime.startup import EXIT_WRONG, CannotStartError

SCHEMA: Final = "schema"
SCHEMA_ID: Final = "documents"
SCHEMA_VERSION: Final = 1
"""Raised with a change of documents or indexes that the release before cannot live with."""


async def check_schema(reads: Reads, database: str) -> None:
    """Raises ``CannotStartError`` if the database was left by an older or a newer release; an unmarked one passes."""
    found = (await reads.get(SCHEMA, [SCHEMA_ID])).get(SCHEMA_ID)
    if found is None or found["version"] == SCHEMA_VERSION:
        return
    older = found["version"] < SCHEMA_VERSION
    raise CannotStartError(
        f"the database {database} has schema {found['version']}, and this release needs {SCHEMA_VERSION}: "
        + ("upgrade it as docs/deployment.md says" if older else "deploy the newer release that wrote it"),
        EXIT_WRONG,
    )


async def mark_schema(store: Store) -> None:
    """Marks a database that has no mark yet; of several processes that start at once one does it."""

    async def work(tx: Transaction) -> None:
        if SCHEMA_ID not in await tx.get(SCHEMA, [SCHEMA_ID]):
            await tx.insert(SCHEMA, [{"_id": SCHEMA_ID, "version": SCHEMA_VERSION}])

    try:
        await store.transact(work)
    except AlreadyExistsError:
        return
