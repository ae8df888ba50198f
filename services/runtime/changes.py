"""Serves the change feed: everything a service has published, in order, for integrators to replay."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.eventing.changes import CHANGES_PAGE_EVENTS_MAX, CursorUnknownError, read_changes
from services.eventing.ports import Ports
from services.runtime.auth import Caller, require
from services.runtime.dependencies import dependency_of, get_ports
from services.runtime.outcomes import Refusal
from services.runtime.pages import CURSOR_CHARACTERS_MAX
from services.runtime.problems import RefusedError, refusals, refused

CHANGES_SCOPE: Final = "changes.read"
CHANGES_DEFAULT: Final = 100
_EXAMPLE: Final[dict[str, Any]] = {
    "items": [
        {
            "specversion": "1.0",
            "id": "018f3c9e-5b7a-7c3e-9d53-6f0a1b2c3d4e",
            "source": "/registry",
            "type": "registry.roll.recorded.v1",
            "subject": "340802",
            "time": "2026-07-01T00:00:00Z",
            "sequence": "000000000002",
            "datacontenttype": "application/json",
            "dataschema": "/schemas/registry.roll.recorded.v1.json",
            "data": {"unit": "340802", "as_of": "2026-07-01", "people": 1200},
        }
    ],
    "next": "3.1",
}

router = APIRouter(tags=["changes"])


class Changes(BaseModel):
    """Some changes in order: CloudEvents as they were published, and the cursor behind the last of them."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    items: list[dict[str, Any]]
    next: str = Field(description="Give it as `after`; unchanged while there is nothing new.")


@router.get("/v1/changes", response_model=Changes, openapi_extra=refusals("outside_area"))
async def get_changes(
    caller: Annotated[Caller, Depends(require(CHANGES_SCOPE))],
    ports: Annotated[Ports, Depends(get_ports)],
    area: Annotated[str, Depends(dependency_of("deployment_area"))],
    after: Annotated[str | None, Query(max_length=CURSOR_CHARACTERS_MAX)] = None,
    limit: Annotated[int, Query(ge=1, le=CHANGES_PAGE_EVENTS_MAX)] = CHANGES_DEFAULT,
) -> Response:
    """Gives the events behind a cursor in order, without a gap, as often as one asks; to who may see all areas."""
    if not caller.covers(area):
        raise RefusedError(Refusal("outside_area", "all changes are for who may see the whole deployment"))
    try:
        page = await read_changes(ports.store, after, limit)
    except CursorUnknownError as error:
        raise refused("cursor_invalid", str(error)) from error
    # The events go out byte for byte as they were published; nothing is decoded on the way.
    body = b'{"items":[%s],"next":"%s"}' % (b",".join(page.items), page.next.encode())
    return Response(body, media_type="application/json")
