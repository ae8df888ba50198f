"""Sees to it that the machine has Java and Maven, or says in one line what to install."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

JAVA_VERSION_MIN = 17
APT_LOCK_WAIT_S = 120
JAVA_PACKAGES = ("openjdk-21-jre-headless", "openjdk-17-jre-headless", "default-jre-headless")


class PrerequisiteMissing(Exception):
    """The machine lacks a program and we cannot install it; the message is the line to show."""


def _output_of(command: Sequence[str]) -> str:
    """Run a command; return what it printed on both streams, or nothing if it cannot be run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout + done.stderr


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


@dataclass(frozen=True)
class Machine:
    """What is asked of the machine; tests give their own answers."""

    which: Callable[[str], str | None] = shutil.which
    output_of: Callable[[Sequence[str]], str] = _output_of
    run: Callable[[Sequence[str]], None] = _run
    java_home: str = field(default_factory=lambda: os.environ.get("JAVA_HOME", ""))
    system: str = field(default_factory=platform.system)
    is_root: bool = field(default_factory=lambda: os.geteuid() == 0)

    @property
    def is_debian(self) -> bool:
        """Whether the machine installs its software with apt."""
        return self.which("apt-get") is not None


def java_version(output: str) -> int:
    """Read the feature version from what ``java -version`` prints (17 for ``"17.0.15"``, 8 for ``"1.8.0_392"``).

    Returns 0 where there is none.
    """
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found[1]) if found else 0


def find_java(machine: Machine) -> str | None:
    """Return the command of a Java that is new enough: JAVA_HOME's if that is set, or the first on the path."""
    at_home = str(Path(machine.java_home, "bin", "java")) if machine.java_home else None
    for command in (at_home, machine.which("java")):
        if command and java_version(machine.output_of([command, "-version"])) >= JAVA_VERSION_MIN:
            return command
    return None


def find_maven(machine: Machine) -> str | None:
    """Return Maven's command, or None."""
    return machine.which("mvn")


@dataclass(frozen=True)
class Tool:
    """A program we need: what people call it, how to find it, what to install."""

    name: str
    find: Callable[[Machine], str | None]
    debian_packages: tuple[str, ...]
    """In order of preference; one that the machine's release knows is enough."""
    brew_package: str


JAVA = Tool(f"Java {JAVA_VERSION_MIN} or later", find_java, JAVA_PACKAGES, "openjdk")
MAVEN = Tool("Maven", find_maven, ("maven",), "maven")


def _known_package(tool: Tool, machine: Machine) -> str:
    """Return the first of the tool's packages that the machine's release offers."""
    for package in tool.debian_packages:
        if machine.output_of(["apt-cache", "show", "--no-all-versions", package]):
            return package
    return tool.debian_packages[-1]


def _apt_install(missing: Sequence[Tool], machine: Machine) -> None:
    wait = f"DPkg::Lock::Timeout={APT_LOCK_WAIT_S}"
    machine.run(["apt-get", "-q", "-o", wait, "update"])
    packages = [_known_package(tool, machine) for tool in missing]
    machine.run(["apt-get", "-q", "-y", "-o", wait, "install", "--no-install-recommends", *packages])


def _advice(missing: Sequence[Tool], machine: Machine) -> str:
    """Say in one line what is missing and how to install it here."""
    names = " and ".join(tool.name for tool in missing)
    match machine:
        case Machine(is_debian=True):
            packages = " ".join(_known_package(tool, machine) for tool in missing)
            return f"{names} missing: run 'sudo apt-get install -y {packages}' and try again."
        case Machine(system="Darwin"):
            packages = " ".join(tool.brew_package for tool in missing)
            return f"{names} missing: run 'brew install {packages}' and try again."
        case _:
            return f"{names} missing: install with your system's package manager, put on the PATH, and try again."


def ensure(tools: Iterable[Tool], machine: Machine | None = None) -> None:
    """Have the tools on the machine: as root on Debian they are installed.

    Raises PrerequisiteMissing where they cannot be.
    """
    machine = machine or Machine()
    tools = tuple(tools)
    missing = [tool for tool in tools if tool.find(machine) is None]
    if missing and machine.is_debian and machine.is_root:
        try:
            _apt_install(missing, machine)
        except subprocess.CalledProcessError as failure:
            raise PrerequisiteMissing(_advice(missing, machine)) from failure
        missing = [tool for tool in tools if tool.find(machine) is None]
    if missing:
        raise PrerequisiteMissing(_advice(missing, machine))


def java_command(machine: Machine | None = None) -> str:
    """Return the command of a Java that is new enough, installed if need be.

    Raises PrerequisiteMissing where there is none and none can be installed.
    """
    machine = machine or Machine()
    ensure([JAVA], machine)
    command = JAVA.find(machine)
    assert command is not None
    return command
