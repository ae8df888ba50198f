"""Keeps measured figures as files, with the machine and the commit they were measured on."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "figures"


def keep(name: str, command: str, figures: dict[str, Any]) -> Path:
    """Writes ``docs/figures/{name}.json``: the command, where and when, and the figures. Returns the path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    document = {"command": command, "measured": _circumstances(), "figures": figures}
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    path.write_text(text)
    sys.stdout.write(text)
    return path


def _circumstances() -> dict[str, Any]:
    return {
        "on": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def _commit() -> str:
    answer = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"
