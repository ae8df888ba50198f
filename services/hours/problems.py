"""Maps the refusals of hours to HTTP."""

from services.runtime.outcomes import Problem

PROBLEMS = (Problem("account_unknown", 404, "没有此志愿者的时长账户"),)
