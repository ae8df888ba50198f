"""The whole platform, started once for all tests of this kind."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.history.gateway_client import Gateway, Tokens
from deploy.local.processes import Platform, running_platform
from deploy.local.servers import Servers
from services.eventing.topics_tool import create_topics
from tests.support.town import Town


@pytest.fixture(scope="session")
def platform(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Twelve processes and the gateway on the session's servers."""
    create_topics(servers.bootstrap)
    with running_platform(tmp_path_factory.mktemp("platform"), servers) as started:
        yield started


@pytest.fixture
async def gateway(platform: Platform) -> AsyncIterator[Gateway]:
    """A client of the platform's one address."""
    async with Gateway(platform.gateway, Tokens(platform.data_dir / "development-key.pem")) as client:
        yield client


@pytest.fixture
async def town(gateway: Gateway) -> Town:
    """A small town, registered once and found again."""
    return await Town(gateway).found(people=6)
