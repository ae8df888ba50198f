"""Makes the OpenAPI documents of the four services from their applications."""

import importlib
from pathlib import Path

from services.contracts.documents import to_text
from services.contracts.topics import SERVICES


def openapi_files(root: Path) -> dict[Path, str]:
    """The OpenAPI 3.1 document of each service, by path."""
    files = {}
    for service in SERVICES:
        wiring = importlib.import_module(f"services.{service}.wiring")
        files[root / "docs" / "openapi" / f"{service}.json"] = to_text(wiring.build_description())
    return files
