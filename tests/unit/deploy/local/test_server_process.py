"""A server process is started, waited for, stopped, killed and started again."""

import os
import sys
from pathlib import Path

import pytest

from deploy.local.server_process import ServerFailed, ServerProcess

STOPPED = "stopped in order"
SERVES = """
import pathlib, signal, sys
def stop(number, frame):
    print("stopped in order", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).touch()
while True:
    signal.pause()
"""
DEAF = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
while True:
    signal.pause()
"""


def server(folder: Path, script: str, ready_within_s: float = 20, stop_within_s: float = 20) -> ServerProcess:
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-c", script, str(ready)]
    return ServerProcess("sample", command, folder / "log", ready.exists, ready_within_s, stop_within_s)


def test_a_started_server_is_ready_and_stops_in_order(tmp_path: Path) -> None:
    process = server(tmp_path, SERVES)
    process.start()
    os.kill(process.pid, 0)
    process.stop()
    assert not process.is_running
    assert STOPPED in (tmp_path / "log").read_text()


def test_a_killed_server_does_nothing_more_and_starts_again(tmp_path: Path) -> None:
    process = server(tmp_path, SERVES)
    process.start()
    first = process.pid
    process.kill()
    assert STOPPED not in (tmp_path / "log").read_text()
    process.start()
    os.kill(process.pid, 0)
    assert process.pid != first
    process.stop()


def test_a_server_that_is_deaf_to_the_request_is_killed(tmp_path: Path) -> None:
    process = server(tmp_path, DEAF, stop_within_s=0.1)
    process.start()
    process.stop()
    assert not process.is_running


def test_a_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    process = server(tmp_path, "raise SystemExit('no such disk')")
    with pytest.raises(ServerFailed, match="no such disk"):
        process.start()


def test_a_server_that_never_gets_ready_is_killed_and_reported(tmp_path: Path) -> None:
    process = server(tmp_path, "import signal; signal.pause()", ready_within_s=0.2)
    with pytest.raises(ServerFailed, match=r"not ready after 0\.2 s"):
        process.start()
    assert not process.is_running


def test_a_stranger_on_the_port_is_not_taken_for_the_server(tmp_path: Path) -> None:
    process = server(tmp_path, "raise SystemExit('port taken')")
    process.is_ready = lambda: not process.is_running
    with pytest.raises(ServerFailed, match="port taken"):
        process.start()


def test_stopping_what_was_never_started_does_nothing(tmp_path: Path) -> None:
    process = server(tmp_path, SERVES)
    process.ask_to_stop()
    process.stop()
    assert not process.is_running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process when its parent dies")
def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    starter = f"""
import pathlib, signal, sys
from deploy.local.server_process import ServerProcess
folder = pathlib.Path({str(tmp_path)!r})
child = ServerProcess("child", [sys.executable, "-c", {SERVES!r}, str(folder / "child")], folder / "child.log",
                      (folder / "child").exists)
child.start()
(folder / "pid").write_text(str(child.pid))
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""
    parent = server(tmp_path, starter)
    parent.start()
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 0)
    parent.kill()
    wait_until_gone(pid)  # or the test's time-out fails it


def wait_until_gone(pid: int) -> None:
    """Wait until no such process runs. A zombie that nobody reaps counts as gone."""
    state = Path(f"/proc/{pid}/stat")
    while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z":
        os.sched_yield()
