"""Starts a platform whose processes hold traps and reach every server over a link that can be cut."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.local.broker import Broker
from deploy.local.database import Database
from deploy.local.processes import GATEWAY, Platform
from deploy.local.server_process import free_ports
from deploy.local.servers import SERVICES, Servers
from services.eventing.topics_tool import create_topics
from tests.support.chaos.links import Links
from tests.support.chaos.plan import BROKER, LINKS, link_name

WITH_LOG: Final = tuple(f"{service}-{kind}" for service in SERVICES for kind in ("processor", "relay"))
"""The processes that speak to the broker. It tells each of them its own address for what comes next, so that they
stay on their links."""


def listeners(ways: Mapping[str, tuple[int, int]]) -> str:
    """The broker's settings for one more listener a process; each is told to others as the near end of its link."""
    names = {f"LINK{number}": ways[link_name(process, BROKER)] for number, process in enumerate(WITH_LOG)}
    bound = ",".join(f"{name}://127.0.0.1:{there}" for name, (_, there) in names.items())
    told = ",".join(f"{name}://127.0.0.1:{here}" for name, (here, _) in names.items())
    plain = ",".join(f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *names))
    own = "PLAINTEXT://127.0.0.1:{port}"
    return (
        f"listeners={own},CONTROLLER://127.0.0.1:{{controller_port}},{bound}\n"
        f"advertised.listeners={own},{told}\n"
        f"listener.security.protocol.map={plain}\n"
    )


class StruckPlatform(Platform):
    """The processes of a platform as ``struck.py`` runs them; ``folder`` holds their traps."""

    def __init__(self, data_dir: Path, servers: Servers, links: Links) -> None:
        super().__init__(data_dir, servers, {}, None)
        self.folder = data_dir / "traps"
        self.folder.mkdir(parents=True)
        self._links = links

    def command(self, name: str) -> list[str]:
        if name == GATEWAY:
            return super().command(name)
        return [sys.executable, "-m", "tests.support.chaos.struck", str(self.folder), *name.split("-")]

    def environment(self, name: str) -> Mapping[str, str]:
        told = dict(super().environment(name))
        service = name.partition("-")[0]
        if name == GATEWAY:
            for each in SERVICES:
                told[f"{each.upper()}_URL"] = f"http://127.0.0.1:{self._port(name, f'{each}-api')}"
            return told
        uri = told[f"{service.upper()}_MONGODB_URI"]
        told[f"{service.upper()}_MONGODB_URI"] = _over(uri, self._port(name, service))
        if name in WITH_LOG:
            told["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{self._port(name, BROKER)}"
        return told

    def _port(self, process: str, server: str) -> int:
        return self._links.links[link_name(process, server)].port


def _over(uri: str, port: int) -> str:
    head, _, tail = uri.partition("://")
    return f"{head}://127.0.0.1:{port}/{tail.partition('/')[2]}"


@contextmanager
def struck_platform(data_dir: Path) -> Iterator[tuple[StruckPlatform, Servers, Links]]:
    """Servers, links and processes of their own, ready; all end at the end."""
    ends = free_ports(len(LINKS) + len(WITH_LOG))
    here = dict(zip((link_name(*each) for each in LINKS), ends, strict=False))
    there = dict(zip((link_name(each, BROKER) for each in WITH_LOG), ends[len(LINKS) :], strict=True))
    ways = {name: (port, there.get(name, 0)) for name, port in here.items()}
    broker = Broker(data_dir / "servers" / "broker", listeners(ways))
    databases = {name: Database(name, data_dir / "servers" / "databases" / name) for name in SERVICES}
    servers = Servers(broker.bootstrap, {name: each.uri for name, each in databases.items()}, broker, databases)
    ours: list[Broker | Database] = [broker, *databases.values()]
    try:
        for server in ours:
            server.launch()
        for server in ours:
            server.wait_ready()
        create_topics(servers.bootstrap)
        links = Links(ways)
        platform = StruckPlatform((data_dir / "platform").absolute(), servers, links)
        for process, server_name in LINKS:
            if server_name != BROKER:
                target = platform.addresses[server_name].port if process == GATEWAY else databases[server_name].port
                links.links[link_name(process, server_name)].target = target
        with links.running():
            try:
                platform.start()
                yield platform, servers, links
            finally:
                platform.stop()
    finally:
        for server in ours:
            server.ask_to_stop()
        for server in ours:
            server.stop()
