"""Says which day it is where the service takes place."""

from datetime import date, datetime, timedelta, timezone

SHANGHAI = timezone(timedelta(hours=8))
"""Asia/Shanghai has been eight hours ahead of UTC, without summer time, since 1991."""


def day_of(moment: datetime) -> date:
    """The date of a moment in Asia/Shanghai."""
    return moment.astimezone(SHANGHAI).date()
