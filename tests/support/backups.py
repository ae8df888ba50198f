"""Names the database that tests of backups have for themselves."""

from typing import Any

from pymongo import AsyncMongoClient

DATABASE = "recovery_backup"
MASTER_KEY = bytes(range(96))
Client = AsyncMongoClient[dict[str, Any]]
