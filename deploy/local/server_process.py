"""A server beside us: started, waited for, stopped or killed, and started again on the same data."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from secrets import randbelow

READY_POLL_S = 0.05
CONNECT_TIMEOUT_S = 1
LOG_TAIL_LINES = 20
# Below the range from which the system takes the ports of outgoing connections (32768 and up). A client that retries
# a stopped server's port inside that range can be given that very port to connect from: it then talks to itself, and
# the server finds its port taken.
PORT_FIRST = 20_000
PORTS = 10_000


class ServerFailed(Exception):
    """A server did not become ready, or ended by itself; the message holds the end of its log."""


def is_listening(port: int) -> bool:
    """Say whether something accepts connections on this port of the loopback address."""
    try:
        socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Return as many different ports of the loopback address as nobody listens on now."""
    assert 0 < count < PORTS
    found: list[int] = []
    start = randbelow(PORTS)
    for step in range(PORTS):
        port = PORT_FIRST + (start + step) % PORTS
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ServerFailed(f"no free port from {PORT_FIRST} to {PORT_FIRST + PORTS - 1}")


def dies_with_us(command: Sequence[str]) -> list[str]:
    """Let a server end when we are killed and cannot stop it, where the system (Linux) offers that."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)


@dataclass
class ServerProcess:
    """One server: at most one process at a time, any number of them one after the other on the same data."""

    name: str
    command: Sequence[str]
    log_path: Path
    is_ready: Callable[[], bool]
    ready_within_s: float = 90
    stop_within_s: float = 30
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _asked_to_stop: bool = field(default=False, init=False)

    @property
    def pid(self) -> int:
        """The running process's id."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether there is a process and it has not ended."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process, without waiting until it is ready."""
        assert not self.is_running, f"{self.name} runs already"
        self._asked_to_stop = False
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            # A session of its own: Ctrl-C in our terminal reaches us alone, and we stop the servers in order.
            self._process = subprocess.Popen(
                dies_with_us(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until the server answers. Raises ServerFailed if it ends first or takes too long."""
        deadline = time.monotonic() + self.ready_within_s
        while not self.is_ready():
            if not self.is_running:
                raise ServerFailed(f"{self.name} ended before it was ready:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"{self.name} was not ready after {self.ready_within_s} s:\n{self._log_tail()}")
            time.sleep(READY_POLL_S)
        if not self.is_running:  # what answered on its port is somebody else
            raise ServerFailed(f"{self.name} ended before it was ready:\n{self._log_tail()}")

    def start(self) -> None:
        """Start the process and wait until the server answers."""
        self.launch()
        self.wait_ready()

    def ask_to_stop(self) -> None:
        """Tell the process to end, as an operator would, and do not wait; nothing if it was told or does not run."""
        if not self._asked_to_stop:
            self._asked_to_stop = True
            self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Tell the process to end and wait; kill it if that takes too long; nothing if it does not run."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(self.stop_within_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process as a power cut would: it gets to do nothing more."""
        assert self._process is not None, f"{self.name} was not started"
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        if self.is_running:
            os.kill(self.pid, number)

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])
