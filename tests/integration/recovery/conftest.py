"""Gives tests of backups a database of their own on registry's server."""

from collections.abc import AsyncIterator, Mapping

import pytest

from deploy.local.servers import Servers
from services.recovery.patience import drop, patient_client
from services.runtime.vault import MongoVault
from tests.support.backups import DATABASE, MASTER_KEY, Client


@pytest.fixture
async def client(servers: Servers) -> AsyncIterator[Client]:
    """A client of registry's server, with a database of these tests' own."""
    opened = patient_client(servers.mongodb_uris["registry"], "test")
    for name in await opened[DATABASE].list_collection_names():
        await drop(opened[DATABASE], name)
    yield opened
    await opened.close()


@pytest.fixture
async def vault(mongodb_uris: Mapping[str, str]) -> AsyncIterator[MongoVault]:
    opened = MongoVault.connect(mongodb_uris["registry"], DATABASE, MASTER_KEY)
    yield opened
    await opened.close()
