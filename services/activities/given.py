"""Names what several slices' routes are given besides what was sent: the ports, the caller, the secret of codes."""

from typing import Annotated, Final

from fastapi import Depends, Path

from services.activities.limits import ID_CHARACTERS_MAX, ID_PATTERN
from services.contracts.ids import UnitCode
from services.eventing.ports import Ports
from services.runtime.areas import OWN
from services.runtime.auth import Caller, must_cover, require
from services.runtime.dependencies import dependency_of, get_ports
from services.runtime.pages import PageRequest
from services.runtime.problems import refused

STATION_CODE_SECRET: Final = "station_code_secret"  # noqa: S105 - the name it goes by in the app's state

TheirPorts = Annotated[Ports, Depends(get_ports)]
Secret = Annotated[bytes, Depends(dependency_of(STATION_CODE_SECRET))]
Reader = Annotated[Caller, Depends(require("activities.read"))]
PathId = Annotated[str, Path(min_length=1, max_length=ID_CHARACTERS_MAX, pattern=ID_PATTERN)]


def after_text(page: PageRequest, default: str) -> str:
    """Where a list that is sorted by one text goes on. Raises ``cursor_invalid`` if the cursor is another list's."""
    match page.after:
        case None:
            return default
        case (str(text),):
            return text
        case _:
            raise refused("cursor_invalid")


def check_area(caller: Caller, unit: UnitCode) -> None:
    """Raises ``outside_area`` if a read is of a unit that the caller's area does not hold."""
    must_cover(caller, unit)


def check_programme(caller: Caller, unit: UnitCode) -> None:
    """As ``check_area``, but volunteers, who have no area, may see what is offered anywhere."""
    if caller.area != OWN:
        must_cover(caller, unit)
