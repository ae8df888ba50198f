"""Marks a service's database with the version of its documents, and refuses one that this release cannot read."""

from typing import Final

from services.eventing.ports import AlreadyExistsError, Reads, Store, Transaction
from services.runtime.startup import EXIT_UNAVAILABLE, EXIT_WRONG, CannotStartError

SCHEMA: Final = "schema"
SCHEMA_ID: Final = "documents"
SCHEMA_VERSION: Final = 1
"""Raised with a change of documents or indexes that the release before cannot live with."""
RESTORING: Final = "restoring"
"""A field of the mark that stands there while a backup is being put back: half a database must serve nobody."""


async def check_schema(reads: Reads, database: str) -> None:
    """Raises ``CannotStartError`` if the database was left by an older or a newer release, or is being restored.

    An unmarked one passes.
    """
    found = (await reads.get(SCHEMA, [SCHEMA_ID])).get(SCHEMA_ID)
    if found is not None and RESTORING in found:
        raise CannotStartError(
            f"the database {database} is being restored: start the service when `restore` has ended without a fault",
            EXIT_UNAVAILABLE,
        )
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
