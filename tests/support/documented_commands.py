"""Runs the commands of a page as an operator would, and knows which of them were run."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
TIMEOUT_S = 150


def commands_of(page: str) -> set[str]:
    """The command lines of a page's ``sh`` blocks."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return {line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()}


class Operator:
    """Somebody with a shell: an environment, and a memory of the command lines typed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = dict(environ)
        self.typed: set[str] = set()

    def words(self, line: str, **variables: str) -> list[str]:
        """A command line as the shell would take it; ``python`` is this one."""
        self.typed.add(line)
        for name, value in variables.items():
            line = line.replace(f'"${name}"', value)
        first, *others = line.split()
        assert first == "python", line
        return [sys.executable, *others]

    def run(self, line: str, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a command line, with further words that the page names as options."""
        command = [*self.words(line, **variables), *more]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)

    def ran(self, line: str, *more: str, **variables: str) -> str:
        """What a command said that must succeed."""
        done = self.run(line, *more, **variables)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, line: str, log: Path, **environ: str) -> "subprocess.Popen[bytes]":
        """Starts what runs until it is asked to end."""
        with log.open("wb") as file:
            return subprocess.Popen(self.words(line), env=self.environ | environ, stdout=file, stderr=file)
