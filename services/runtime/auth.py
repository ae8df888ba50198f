"""Says who calls and what they may do: scopes and areas. Run as a program it issues development tokens."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from services.contracts.ids import ActorId
from services.runtime.areas import holds
from services.runtime.outcomes import Refusal
from services.runtime.problems import RefusedError, refused

SCOPE_ATTRIBUTE: Final = "required_scope"
"""Names the scope on a dependency, so that the app can document it and refuse to start without one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, from a token that was verified: a person or a machine, its client, scopes and area."""

    subject: ActorId
    client: str
    scopes: frozenset[str]
    area: str

    def covers(self, unit: str) -> bool:
        """Whether the area holds a unit: two and four digits are prefixes, six are exact, ``*`` is everywhere."""
        return holds(self.area, unit)


def caller_of(request: Request) -> Caller:
    """The caller of a request under ``/v1``, which the app let in only with a valid token."""
    caller = request.scope.get("caller")
    if not isinstance(caller, Caller):
        raise refused("unauthenticated")
    return caller


def allowed(request: Request, scope: str) -> Caller:
    """The caller, who has the scope. Raises ``RefusedError``: ``unauthenticated``, ``scope_missing``."""
    caller = caller_of(request)
    if scope not in caller.scopes:
        raise refused("scope_missing", f"needs the scope {scope}")
    return caller


def require(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that gives the caller if the token has this scope."""

    async def caller_with_scope(request: Request) -> Caller:
        return allowed(request, scope)

    setattr(caller_with_scope, SCOPE_ATTRIBUTE, scope)
    return caller_with_scope


def must_cover(caller: Caller, unit: str) -> None:
    """Raises ``outside_area`` if a read is of a unit that the caller's area does not hold."""
    if not caller.covers(unit):
        raise RefusedError(outside_area(caller, unit))


def outside_area(caller: Caller, unit: str) -> Refusal:
    """The refusal of a caller whose area does not hold the unit."""
    assert not caller.covers(unit)
    return Refusal("outside_area", f"the token's area {caller.area} does not hold {unit}")


if __name__ == "__main__":
    from services.runtime.token_tool import main

    main()
