"""Maps the refusals of registry to HTTP."""

from services.runtime.outcomes import Problem

PROBLEMS: tuple[Problem, ...] = ()
