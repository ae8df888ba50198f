"""Maps the refusals of assessment to HTTP."""

from services.runtime.outcomes import Problem

PROBLEMS = (
    Problem("unit_unknown", 404, "没有此评估单位"),
    Problem("rule_set_unknown", 404, "没有此评估规则"),
)
