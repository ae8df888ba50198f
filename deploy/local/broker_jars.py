"""The broker's jars: fetched with Maven once a user, and checked against their committed hashes."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import typer

from deploy.local import prerequisites

KAFKA_DIR = Path(__file__).parent / "kafka"
POM = KAFKA_DIR / "pom.xml"
HASHES = KAFKA_DIR / "jars.sha256"


class WrongJars(Exception):
    """What Maven brought is not what the committed hashes name."""


def cache_dir() -> Path:
    """Return the folder, shared by a user's checkouts, for what is fetched or made only once."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "silver-service"


def read_hashes(text: str) -> dict[str, str]:
    """Read ``sha256sum`` lines: file name to hexadecimal hash."""
    pairs = [line.split() for line in text.splitlines()]
    return {name: digest for digest, name in pairs}


def kafka_version(hashes: dict[str, str]) -> str:
    """Return the broker's version, as its own jar's name says it."""
    (version,) = [found[1] for name in hashes if (found := re.fullmatch(r"kafka_2\.13-(.+)\.jar", name))]
    return version


def are_right(folder: Path, hashes: dict[str, str]) -> bool:
    """Say whether the folder holds these jars, unchanged, and no other."""
    if {path.name for path in folder.glob("*.jar")} != set(hashes):
        return False
    return all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in hashes.items())


def _fetch(into: Path) -> None:
    typer.echo("Fetching Apache Kafka's jars (44 MB, once) ...", err=True)
    prerequisites.ensure([prerequisites.JAVA, prerequisites.MAVEN])
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={into}"]
    subprocess.run(["mvn", "-q", "-B", "-f", str(POM), *goal], check=True)


def broker_jars() -> Path:
    """Return the folder with the broker's jars; the first call of a user fetches them (46 files, 44 MB).

    Raises PrerequisiteMissing where Java or Maven is missing, WrongJars where what came is not what is committed.
    """
    hashes = read_hashes(HASHES.read_text())
    folder = cache_dir() / f"kafka-{kafka_version(hashes)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two checkouts may be set up at once
        if are_right(folder, hashes):
            return folder
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fetched = Path(scratch, "jars")
            _fetch(fetched)
            if not are_right(fetched, hashes):
                raise WrongJars(f"the jars that {POM.name} names are not those of {HASHES.name}")
            shutil.rmtree(folder, ignore_errors=True)
            fetched.rename(folder)
    return folder
