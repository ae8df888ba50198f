"""What supervisord is told: every process, all in one group, which it ends at once."""

from configparser import ConfigParser
from pathlib import Path

import pytest

from deploy.local import processes
from deploy.local.processes import GROUP, PROCESSES, Platform
from deploy.local.servers import SERVICES, Servers

SERVERS = Servers("127.0.0.1:9092", dict.fromkeys(SERVICES, "mongodb://127.0.0.1:27017/"))


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConfigParser:
    monkeypatch.setattr(processes, "free_ports", lambda count: list(range(1, count + 1)))
    parser = ConfigParser(interpolation=None)
    parser.read_string(Platform(tmp_path, SERVERS, {}, None)._configuration())
    return parser


def test_every_process_is_a_program(told: ConfigParser) -> None:
    assert [name for name in told.sections() if name.startswith("program:")] == [f"program:{p}" for p in PROCESSES]


def test_all_processes_are_one_group_so_that_none_waits_for_another_to_end(told: ConfigParser) -> None:
    assert [name for name in told.sections() if name.startswith("group:")] == [f"group:{GROUP}"]
    assert told[f"group:{GROUP}"]["programs"].split(",") == list(PROCESSES)
