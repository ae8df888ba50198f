"""Makes the OpenAPI documents of the four services from their applications."""

import importlib
import random
from pathlib import Path
from typing import Any, cast

from services.contracts.documents import to_text
from services.contracts.topics import SERVICES
from services.eventing.ports import Clock, Ids, Ports, Store
from services.runtime.settings import HttpSettings


class _Nothing:
    """Stands for ports that describing an application never calls."""

    async def ping(self) -> None:
        """Named by the application's readiness check."""


def openapi_files(root: Path) -> dict[Path, str]:
    """The OpenAPI 3.1 document of each service, by path."""
    return {root / "docs" / "openapi" / f"{name}.json": to_text(_document(name)) for name in SERVICES}


def _document(service: str) -> dict[str, Any]:
    nothing = _Nothing()
    ports = Ports(
        cast("Store", nothing), cast("Clock", nothing), cast("Clock", nothing), cast("Ids", nothing), random.Random()
    )
    settings = HttpSettings(environment="development", jwt_jwks='{"keys": []}')
    app = importlib.import_module(f"services.{service}.wiring").build_api(ports, settings)
    document: dict[str, Any] = app.openapi()
    return document
