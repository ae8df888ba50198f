"""Each rule of pyproject.toml that guards the design is broken on purpose and seen to fail."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
IN_A_SLICE = "services/hours/ledger/handlers.py"


def ruff_codes(path: str, code: str) -> set[str]:
    """Lint ``code`` as if it stood at ``path`` in the repository; return the codes of what ruff finds."""
    command = [str(BIN / "ruff"), "check", "--no-cache", "--output-format", "json", "--stdin-filename", path, "-"]
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False)
    return {finding["code"] for finding in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "code",
    [
        "import datetime\nNOW = datetime.datetime.now(datetime.UTC)",
        "from datetime import UTC, datetime\nNOW = datetime.now(UTC)",
        "from datetime import date\nTODAY = date.today()",
        "import time\nNOW = time.time()",
        "import time\nNOW = time.monotonic()",
        "import time\ntime.sleep(1)",
        "import uuid\nID = uuid.uuid4()",
        "from uuid import uuid1\nID = uuid1()",
        "import uuid_utils\nID = uuid_utils.uuid7()",
        "import secrets\nTOKEN = secrets.token_urlsafe()",
        "import os\nSALT = os.urandom(16)",
        "import random\nDELAY = random.random()",
        "from random import choice\nUNIT = choice([1, 2])",
        "import asyncio\nRUN = asyncio.to_thread",
        "import threading\nLOCK = threading.Lock()",
        "from concurrent.futures import ThreadPoolExecutor\nPOOL = ThreadPoolExecutor()",
    ],
)
def test_clock_ids_randomness_and_threads_are_banned_in_a_slice(code: str) -> None:
    assert "TID251" in ruff_codes(IN_A_SLICE, code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("services/runtime/clock.py", "from datetime import UTC, datetime\nNOW = datetime.now(UTC)"),
        ("services/runtime/ids.py", "import uuid_utils\nID = uuid_utils.uuid7()"),
        (IN_A_SLICE, "import random\nRNG = random.Random(1)"),
    ],
)
def test_clock_ids_and_seeded_randomness_are_allowed_where_they_belong(path: str, code: str) -> None:
    assert "TID251" not in ruff_codes(path, code)


def broken_contracts(tree: Path, modules: dict[str, str]) -> set[str]:
    """Check the import rules on a made-up checkout.

    ``modules`` maps a module's dotted name to its code; every package on the way is made. Returns the names of the
    contracts that import-linter calls broken.
    """
    shutil.copy(ROOT / "pyproject.toml", tree)
    for name, code in {"services": "", "deploy": "", **modules}.items():
        parts = name.split(".")
        for depth in range(1, len(parts)):
            package = tree.joinpath(*parts[:depth], "__init__.py")
            package.parent.mkdir(parents=True, exist_ok=True)
            package.touch()
        leaf = tree.joinpath(*parts).with_suffix(".py") if len(parts) > 1 else tree / name / "__init__.py"
        leaf.parent.mkdir(parents=True, exist_ok=True)
        leaf.write_text(code)
    command = [sys.executable, str(BIN / "lint-imports"), "--no-cache"]
    environment = {"PYTHONPATH": str(tree), "COLUMNS": "300"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert any(line.startswith("Contracts: ") for line in lines), done.stdout + done.stderr
    return {line.partition(" BROKEN")[0] for line in lines if " BROKEN" in line}


CLEAN = {
    "services.contracts.hours": "",
    "services.eventing.ports": "import services.contracts.hours",
    "services.eventing.relay.producer": "import kafka",
    "services.eventing.topics_tool": "import kafka",
    "services.eventing.door.faust_door": "import aiokafka\nimport faust\nimport mode",
    "services.runtime.clock": "import services.eventing.ports",
    "services.registry.people.routes": "import services.registry.people.handlers",
    "services.registry.people.handlers": "import services.registry.people.store",
    "services.registry.people.store": "import pymongo\nimport services.registry.people.rules",
    "services.registry.people.rules": "import services.contracts.hours",
    "services.hours.ledger.handlers": "import services.runtime.clock",
    "services.hours.processor": "import faust\nimport services.hours.ledger.handlers",
    "deploy.local.servers": "import services.contracts.hours",
}


def test_a_checkout_as_designed_breaks_no_import_rule(tmp_path: Path) -> None:
    assert broken_contracts(tmp_path, CLEAN) == set()


@pytest.mark.parametrize(
    ("rule", "module", "code"),
    [
        ("Services never import each other", "services.hours.ledger.rules", "import services.registry.people.rules"),
        ("Services never import each other", "services.contracts.hours", "import services.eventing.ports"),
        ("Services never import each other", "services.eventing.ports", "import services.runtime.clock"),
        ("Services never import each other", "services.runtime.clock", "import services.hours.ledger.handlers"),
        ("Services never import each other", "services.utils.misc", ""),
        ("Inside a slice", "services.registry.people.store", "import services.registry.people.handlers"),
        ("Inside a slice", "services.registry.people.rules", "import services.registry.people.store"),
        ("Inside a slice", "services.registry.people.handlers", "import services.registry.people.routes"),
        ("Slices do not know", "services.hours.ledger.handlers", "import services.hours.processor"),
        ("Rules do no I/O", "services.registry.people.rules", "import asyncio"),
        ("Rules do no I/O", "services.registry.people.rules", "import pymongo"),
        ("kafka-python only", "services.registry.people.store", "import kafka"),
        ("kafka-python only", "services.eventing.ports", "from kafka.errors import KafkaError"),
        ("Faust and its driver only", "services.hours.ledger.handlers", "import faust"),
        ("Faust and its driver only", "services.eventing.relay.producer", "import aiokafka"),
        ("The database stand-in", "deploy.local.servers", "import secantus"),
        ("Services do not know how", "services.hours.processor", "import deploy.local.servers"),
    ],
)
def test_an_import_across_a_border_breaks_its_rule(rule: str, module: str, code: str, tmp_path: Path) -> None:
    broken = broken_contracts(tmp_path, CLEAN | {module: code})
    assert [name for name in broken if name.startswith(rule)], broken
