"""Does what takes a database minutes, and waits as long as it takes."""

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from services.eventing.ports import Document
from services.runtime.mongo_commands import CONNECT_TIMEOUT_MS, SERVER_SELECTION_TIMEOUT_MS


def patient_client(uri: str, name: str) -> AsyncMongoClient[Document]:
    """A client that no slow answer ends: for work that nobody waits for."""
    return AsyncMongoClient[Document](
        uri,
        appname=name,
        serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS,
        connectTimeoutMS=CONNECT_TIMEOUT_MS,
        tz_aware=True,
    )


async def drop(database: AsyncDatabase[Document], collection: str) -> None:
    """Drops a collection. Emptied first, because the stand-in drops 200 documents a second and deletes 3,000."""
    await database[collection].delete_many({})
    await database.drop_collection(collection)
