"""Keeps a client's tokens, which can all be made old at once, and fetched anew."""

from datetime import timedelta
from typing import Final

from deploy.history.gateway_client import CITY_AREA, TOKEN_HOURS, Tokens
from services.runtime.development import Grant, issue

OLD: Final = timedelta(hours=TOKEN_HOURS + 1)


class Credentials(Tokens):
    """Development tokens of one client."""

    def expire(self) -> None:
        """Puts one of yesterday in the place of each."""
        for role, area, subject in self._made:
            grant = Grant(role, area, subject or role, lifetime=timedelta(hours=TOKEN_HOURS))
            now = self._clock.now() - OLD
            self._made[role, area, subject] = issue(self._key, grant, now=now, ids=self._ids)

    def renew(self, role: str, area: str = CITY_AREA, subject: str = "") -> None:
        """Fetches a token anew at its next use."""
        self._made.pop((role, area, subject), None)
