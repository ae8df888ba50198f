"""Missing Java or Maven is installed as root on Debian, elsewhere named in one line."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from deploy.local.prerequisites import (
    JAVA,
    MAVEN,
    Machine,
    PrerequisiteMissing,
    ensure,
    find_java,
    java_command,
    java_version,
)

JAVA_17 = 'openjdk version "17.0.15" 2025-04-15'
JAVA_8 = 'openjdk version "1.8.0_392"'


@dataclass
class FakeMachine:
    """A machine with these programs (path to what ``-version`` prints) that offers these packages."""

    programs: dict[str, str] = field(default_factory=dict)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)
    """By package: the programs that it brings."""
    apt_fails: bool = False
    ran: list[str] = field(default_factory=list)

    def machine(self, *, is_root: bool = False, system: str = "Linux", java_home: str = "") -> Machine:
        return Machine(
            which=lambda name: name if name in self.programs else None,
            output_of=self.output_of,
            run=self.run,
            java_home=java_home,
            system=system,
            is_root=is_root,
        )

    def output_of(self, command: Sequence[str]) -> str:
        if command[:2] == ["apt-cache", "show"]:
            return "Package: ..." if command[-1] in self.packages else ""
        return self.programs.get(command[0], "")

    def run(self, command: Sequence[str]) -> None:
        self.ran.append(" ".join(command))
        if self.apt_fails:
            raise subprocess.CalledProcessError(100, command)
        for package in command:
            self.programs |= self.packages.get(package, {})


DEBIAN_PACKAGES = {"openjdk-17-jre-headless": {"java": JAVA_17}, "maven": {"mvn": "Apache Maven 3.8.7"}}


def debian(programs: dict[str, str] | None = None, *, apt_fails: bool = False) -> FakeMachine:
    return FakeMachine({"apt-get": "", **(programs or {})}, DEBIAN_PACKAGES, apt_fails=apt_fails)


@pytest.mark.parametrize(
    ("output", "version"),
    [(JAVA_17, 17), (JAVA_8, 8), ('openjdk version "25" 2025-09-16', 25), ("command not found", 0), ("", 0)],
)
def test_the_version_of_java_is_read(output: str, version: int) -> None:
    assert java_version(output) == version


def test_java_home_is_preferred_to_the_path() -> None:
    machine = FakeMachine({"java": JAVA_17, "/opt/jdk/bin/java": JAVA_17}).machine(java_home="/opt/jdk")
    assert find_java(machine) == "/opt/jdk/bin/java"


def test_an_old_java_at_java_home_gives_way_to_the_path() -> None:
    machine = FakeMachine({"java": JAVA_17, "/opt/jdk/bin/java": JAVA_8}).machine(java_home="/opt/jdk")
    assert find_java(machine) == "java"


def test_an_old_java_counts_as_missing() -> None:
    assert find_java(FakeMachine({"java": JAVA_8}).machine()) is None


def test_nothing_is_run_where_nothing_is_missing() -> None:
    fake = debian({"java": JAVA_17, "mvn": ""})
    ensure([JAVA, MAVEN], fake.machine(is_root=True))
    assert fake.ran == []


def test_root_on_debian_gets_what_is_missing_installed() -> None:
    fake = debian()
    assert java_command(fake.machine(is_root=True)) == "java"
    ensure([JAVA, MAVEN], fake.machine(is_root=True))
    installs = [command for command in fake.ran if " install " in command]
    assert [command.split()[-1] for command in installs] == ["openjdk-17-jre-headless", "maven"]


def test_someone_else_on_debian_is_told_the_command_in_one_line() -> None:
    fake = debian({"java": JAVA_8})
    with pytest.raises(PrerequisiteMissing) as told:
        ensure([JAVA, MAVEN], fake.machine())
    assert str(told.value) == (
        "Java 17 or later and Maven missing: run 'sudo apt-get install -y openjdk-17-jre-headless maven' and try again."
    )
    assert fake.ran == []


def test_a_failed_installation_names_the_command() -> None:
    with pytest.raises(PrerequisiteMissing, match="sudo apt-get install -y maven'"):
        ensure([JAVA, MAVEN], debian({"java": JAVA_17}, apt_fails=True).machine(is_root=True))


def test_an_installation_that_brings_no_java_is_not_taken_for_one() -> None:
    fake = FakeMachine({"apt-get": "", "java": JAVA_8})
    with pytest.raises(PrerequisiteMissing, match="Java 17 or later missing"):
        java_command(fake.machine(is_root=True))


def test_a_mac_is_told_its_own_command() -> None:
    with pytest.raises(PrerequisiteMissing, match="'brew install openjdk maven'"):
        ensure([JAVA, MAVEN], FakeMachine().machine(system="Darwin"))


def test_an_unknown_system_is_told_what_is_missing() -> None:
    with pytest.raises(PrerequisiteMissing, match=r"^Maven missing: .+"):
        ensure([JAVA, MAVEN], FakeMachine({"java": JAVA_17}).machine())
