"""Sees to it that Prometheus and promtool are at hand: the machine's own, or Debian's, unpacked and not installed."""

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.local.broker_jars import cache_dir
from deploy.local.prerequisites import APT_LOCK_WAIT_S, Machine, PrerequisiteMissing

PACKAGE = "prometheus"
PROGRAMS = ("prometheus", "promtool")


def programs(machine: Machine | None = None, cache: Path | None = None) -> dict[str, str]:
    """The commands of both programs, by name; the first call of a user on Debian fetches them (19 MB).

    The package is unpacked, not installed: installed, it would start a Prometheus that nobody asked for. Raises
    ``PrerequisiteMissing``, with the line to show, where they are not to be had.
    """
    machine = machine or Machine()
    found = {name: command for name in PROGRAMS if (command := machine.which(name)) is not None}
    if len(found) == len(PROGRAMS):
        return found
    folder = (cache or cache_dir()) / PACKAGE
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{PACKAGE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two checkouts may be set up at once
        if not _are_in(folder):
            _fetch(folder, machine)
    return {name: str(folder / name) for name in PROGRAMS}


def _are_in(folder: Path) -> bool:
    return all((folder / name).exists() for name in PROGRAMS)


def _fetch(folder: Path, machine: Machine) -> None:
    if not machine.is_debian:
        raise PrerequisiteMissing(_advice(machine))
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        try:
            _unpack(Path(scratch), machine)
        except subprocess.CalledProcessError as failure:
            raise PrerequisiteMissing(_advice(machine)) from failure
        unpacked = Path(scratch, "tree", "usr", "bin")
        if not _are_in(unpacked):
            raise PrerequisiteMissing(_advice(machine))
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)


def _unpack(scratch: Path, machine: Machine) -> None:
    wait = f"DPkg::Lock::Timeout={APT_LOCK_WAIT_S}"
    if machine.is_root:  # anybody else has to do with the lists that are there
        machine.run(["apt-get", "-q", "-o", wait, "update"])
    # Its own user could not write into the scratch folder; what comes is checked against the signed lists all the same.
    apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    machine.run(["env", "-C", str(scratch), *apt, "download", PACKAGE])
    archives = [str(path) for path in sorted(scratch.glob("*.deb"))]
    machine.run(["dpkg-deb", "-x", *archives, str(scratch / "tree")])


def _advice(machine: Machine) -> str:
    """What is missing and how to have it here, in one line."""
    match machine:
        case Machine(is_debian=True):
            return f"{PACKAGE} missing: run 'sudo apt-get install -y {PACKAGE}' and try again."
        case Machine(system="Darwin"):
            return f"{PACKAGE} missing: run 'brew install {PACKAGE}' and try again."
        case _:
            return f"{PACKAGE} and promtool missing: put their release on the PATH and try again."
