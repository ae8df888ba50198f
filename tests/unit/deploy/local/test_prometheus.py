"""Prometheus and promtool are the machine's own, or Debian's unpacked; elsewhere one line says what to install."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local.prerequisites import Machine, PrerequisiteMissing
from deploy.local.prometheus import PROGRAMS, programs


@dataclass
class FakeMachine:
    """A machine with these programs; its apt brings the package, or fails."""

    has: tuple[str, ...] = ()
    apt_fails: bool = False
    ran: list[str] = field(default_factory=list)

    def machine(self, *, is_root: bool = False, system: str = "Linux") -> Machine:
        return Machine(
            which=lambda name: f"/usr/bin/{name}" if name in self.has else None,
            run=self.run,
            system=system,
            is_root=is_root,
        )

    def run(self, command: Sequence[str]) -> None:
        self.ran.append(" ".join(command))
        if self.apt_fails:
            raise subprocess.CalledProcessError(100, command)
        if "download" in command:
            Path(command[2], "prometheus.deb").touch()
        if command[0] == "dpkg-deb":
            folder = Path(command[-1], "usr", "bin")
            folder.mkdir(parents=True)
            for name in PROGRAMS:
                (folder / name).touch()


def test_the_machines_own_are_taken(tmp_path: Path) -> None:
    fake = FakeMachine(PROGRAMS)
    assert programs(fake.machine(), tmp_path) == {name: f"/usr/bin/{name}" for name in PROGRAMS}
    assert fake.ran == []


@pytest.mark.parametrize("is_root", [True, False])
def test_debians_package_is_unpacked_once_and_never_installed(tmp_path: Path, is_root: bool) -> None:
    fake = FakeMachine(("apt-get",))
    found = programs(fake.machine(is_root=is_root), tmp_path)
    assert all(Path(found[name]).exists() for name in PROGRAMS)
    assert any(" update" in line for line in fake.ran) == is_root
    assert not [line for line in fake.ran if " install" in line]
    ran = len(fake.ran)
    assert programs(fake.machine(is_root=is_root), tmp_path) == found
    assert len(fake.ran) == ran


def test_where_it_cannot_be_had_one_line_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteMissing, match="apt-get install -y prometheus"):
        programs(FakeMachine(("apt-get",), apt_fails=True).machine(is_root=True), tmp_path)
    with pytest.raises(PrerequisiteMissing, match="brew install prometheus"):
        programs(FakeMachine().machine(system="Darwin"), tmp_path)
    with pytest.raises(PrerequisiteMissing, match="on the PATH"):
        programs(FakeMachine(("promtool",)).machine(), tmp_path)
