"""Runs the twelve processes and the gateway on one machine under supervisord, each findable, killable, restarted."""

import base64
import http.client
import os
import secrets
import shlex
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.server_process import ServerFailed, ServerProcess, dies_with_us, free_ports
from deploy.local.servers import SERVICES, Servers

KINDS = ("api", "processor", "relay")
GATEWAY = "gateway"
PROCESSES = (*(f"{service}-{kind}" for service in SERVICES for kind in KINDS), GATEWAY)
"""Every process of the platform; compared with Compose and Kubernetes by tests."""
GROUP = "platform"
"""supervisord ends one group after the other, and looks once a second: in one group all are told to end at once."""
GATEWAY_PORT = 8080
READY_WITHIN_S = 120.0
READY_POLL_S = 0.2
REQUEST_TIMEOUT_S = 5.0
START_SECONDS = 1
RESTARTS_MAX = 1_000
STOP_WITHIN_S = 6
"""Processes promise to end within five seconds of SIGTERM."""
IDS_PER_QUERY = 50
"""The stand-in database takes quadratic time for a query by ids: 190 ms for 500 at once, 36 ms in tens."""
MASTER_KEY_BYTES = 96
"""Of the key under which registry's vault keeps each person's key."""
EXIT_CODES_KEPT_DOWN = (0, 78)
"""Ended in order, or a wrong setting that no restart mends; anything else is started again."""


@dataclass(frozen=True)
class Address:
    """Where one process answers."""

    name: str
    port: int

    @property
    def url(self) -> str:
        """The base address on this machine."""
        return f"http://127.0.0.1:{self.port}"


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC to supervisord over its socket file."""

    def __init__(self, path: Path, password: str) -> None:
        super().__init__()
        self._path, self._password = path, password

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        path = self._path

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    sock.settimeout(REQUEST_TIMEOUT_S)
                    sock.connect(str(path))
                except OSError:
                    sock.close()
                    raise
                self.sock = sock

        connection = Connection("localhost", timeout=REQUEST_TIMEOUT_S)
        self._connection = host, connection  # where close() looks for it
        return connection

    def send_headers(self, connection: http.client.HTTPConnection, headers: list[tuple[str, str]]) -> None:
        token = base64.b64encode(f"local:{self._password}".encode()).decode()
        connection.putheader("Authorization", f"Basic {token}")
        super().send_headers(connection, headers)


class Platform:
    """The running processes of one machine: addresses, process ids, stop and start of each."""

    def __init__(self, data_dir: Path, servers: Servers, environ: Mapping[str, str], gateway_port: int | None) -> None:
        self.data_dir = data_dir
        ports = [*free_ports(len(PROCESSES) - 1), *([gateway_port] if gateway_port else free_ports(1))]
        self.addresses = {name: Address(name, port) for name, port in zip(PROCESSES, ports, strict=True)}
        self.environ = {**_environment(data_dir, servers, self.addresses), **environ}
        self._password = secrets.token_hex(16)
        # A socket's path may have 107 characters: the data folder of a test may be deeper.
        self._socket = Path(f"/tmp/silver-service-{os.getpid()}-{secrets.token_hex(4)}.sock")  # noqa: S108
        self._supervisor = ServerProcess(
            "supervisord",
            [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(self._config)],
            data_dir / "supervisord.log",
            self._answers,
        )

    @property
    def gateway(self) -> str:
        """The one address of the platform."""
        return self.addresses[GATEWAY].url

    @property
    def _config(self) -> Path:
        return self.data_dir / "supervisord.conf"

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.data_dir / "logs" / f"{name}.log"

    def start(self) -> None:
        """Starts all and waits until every one is ready. Raises ``ServerFailed``, with the log of what is not."""
        (self.data_dir / "logs").mkdir(parents=True, exist_ok=True)
        environment = self.data_dir / "environment.sh"
        environment.touch(mode=0o600)
        environment.write_text("".join(f"{key}={shlex.quote(value)}\n" for key, value in sorted(self.environ.items())))
        self._config.touch(mode=0o600)
        self._config.write_text(self._configuration())
        self._supervisor.start()
        self.wait_ready()

    def stop(self) -> None:
        """Ends all in order: supervisord tells each and waits."""
        self._supervisor.stop()
        self._socket.unlink(missing_ok=True)

    def wait_ready(self, *names: str, within_s: float = READY_WITHIN_S) -> None:
        """Waits until these processes (none given: all) say on ``/readyz`` that they can do their work."""
        deadline = time.monotonic() + within_s
        for name in names or PROCESSES:
            while not self.is_ready(name):
                state = self._state(name)
                if _stays_down(state) or time.monotonic() > deadline:
                    raise ServerFailed(f"{name} is {state['statename']}, not ready:\n{self._tail(name)}")
                time.sleep(READY_POLL_S)

    def is_ready(self, name: str) -> bool:
        """Whether a process answers that it is ready."""
        try:
            return bool(self._get(name, "/readyz").status_code == httpx.codes.OK)
        except httpx.HTTPError:
            return False

    def metrics(self, name: str) -> str:
        """The metrics of a process as Prometheus reads them. Raises ``httpx.HTTPError`` while it does not answer."""
        return self._get(name, "/metrics").raise_for_status().text

    def _get(self, name: str, path: str) -> httpx.Response:
        return httpx.get(self.addresses[name].url + path, timeout=REQUEST_TIMEOUT_S, trust_env=False)

    def pid(self, name: str) -> int:
        """The process id of a running process, 0 while it is down."""
        return int(self._state(name)["pid"])

    def stop_process(self, name: str) -> None:
        """Tells one process to end and waits; it stays down until ``start_process``."""
        with self._rpc() as rpc:
            rpc.supervisor.stopProcess(f"{GROUP}:{name}")

    def start_process(self, name: str) -> None:
        """Starts a process that was stopped."""
        with self._rpc() as rpc:
            rpc.supervisor.startProcess(f"{GROUP}:{name}")

    def _rpc(self) -> Any:
        return xmlrpc.client.ServerProxy("http://local", transport=_UnixTransport(self._socket, self._password))

    def _state(self, name: str) -> Mapping[str, Any]:
        with self._rpc() as rpc:
            state: Mapping[str, Any] = rpc.supervisor.getProcessInfo(f"{GROUP}:{name}")
        return state

    def _answers(self) -> bool:
        try:
            with self._rpc() as rpc:
                return bool(rpc.supervisor.getState()["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error, http.client.HTTPException):
            return False

    def _tail(self, name: str) -> str:
        log = self.log(name)
        return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else "no log"

    def _configuration(self) -> str:
        programs = "\n".join(self._program(name) for name in PROCESSES)
        return (
            f"[unix_http_server]\nfile={self._socket}\nchmod=0600\nusername=local\npassword={self._password}\n"
            f"[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={self.data_dir / 'supervisord.pid'}\n"
            "loglevel=warn\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[group:{GROUP}]\nprograms={','.join(PROCESSES)}\n"
            f"{programs}"
        )

    def command(self, name: str) -> list[str]:
        """What starts a process."""
        module = "services.runtime.gateway" if name == GATEWAY else f"services.{name.replace('-', ' ')}"
        return [sys.executable, "-m", *module.split()]

    def environment(self, name: str) -> Mapping[str, str]:  # noqa: ARG002  # a platform for tests tells each its own
        """What a process is told."""
        return self.environ

    def _program(self, name: str) -> str:
        told = sorted(self.environment(name).items())
        environment = ",".join(f'{key}="{_escaped(value)}"' for key, value in told)
        return (
            f"[program:{name}]\n"
            f"command={_escaped(shlex.join(dies_with_us(self.command(name))))}\n"
            f"directory={_escaped(str(Path.cwd()))}\n"
            f"environment={environment}\n"
            f"autorestart=unexpected\nexitcodes={','.join(map(str, EXIT_CODES_KEPT_DOWN))}\n"
            f"startsecs={START_SECONDS}\nstartretries={RESTARTS_MAX}\nstopwaitsecs={STOP_WITHIN_S}\n"
            f"redirect_stderr=true\nstdout_logfile={_escaped(str(self.log(name)))}\n"
        )


def _stays_down(state: Mapping[str, Any]) -> bool:
    """Whether supervisord has given a process up; one that was killed is ``EXITED`` for a moment too."""
    ended = state["statename"] == "EXITED" and state["exitstatus"] in EXIT_CODES_KEPT_DOWN
    return bool(ended or state["statename"] == "FATAL")


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _environment(data_dir: Path, servers: Servers, addresses: Mapping[str, Address]) -> dict[str, str]:
    """What every process is told; each service's own variables begin with its name."""
    told = {
        "ENVIRONMENT": "development",
        "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap,
        "JWT_DEVELOPMENT_KEY_FILE": str(data_dir / "development-key.pem"),
        "REGISTRY_VAULT_MASTER_KEY": _kept_secret(data_dir / "vault-master-key", MASTER_KEY_BYTES),
        "REQUESTS_PER_S": "0",  # one loader brings a whole city's history, from one address
        "GATEWAY_REQUESTS_PER_S": "0",
        "HOST": "127.0.0.1",
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(addresses[GATEWAY].port),
    }
    if servers.databases:  # ours, the stand-in
        told["MONGODB_IDS_PER_QUERY"] = str(IDS_PER_QUERY)
    for service in SERVICES:
        prefix = service.upper()
        told[f"{prefix}_MONGODB_URI"] = servers.mongodb_uris[service]
        told[f"{prefix}_URL"] = addresses[f"{service}-api"].url
        for kind in KINDS:
            told[f"{prefix}_{kind.upper()}_PORT"] = str(addresses[f"{service}-{kind}"].port)
    return told


def _kept_secret(path: Path, length: int) -> str:
    """A secret of this data folder, in base64; made on first use, readable by its owner only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(base64.b64encode(secrets.token_bytes(length)).decode())
    return path.read_text()


@contextmanager
def running_platform(
    data_dir: Path,
    servers: Servers,
    environ: Mapping[str, str] | None = None,
    *,
    gateway_port: int | None = None,
) -> Iterator[Platform]:
    """Starts the platform's processes, ready, and ends them at the end. ``environ`` adds to what they are told."""
    platform = Platform(data_dir.absolute(), servers, environ or {}, gateway_port)
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()
