"""Offers scores and rule sets over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from services.assessment.periods import PERIOD_PATTERN, parse_period
from services.assessment.rule_sets.library import rule_set_for, rule_sets
from services.assessment.rule_sets.rules import RuleSet
from services.assessment.scores import handlers, store
from services.assessment.scores.rules import ranked
from services.assessment.scores.views import RuleSetView, Scoreboard, ScoreboardRow, ScoreView
from services.eventing.ports import Ports
from services.runtime.auth import Caller, must_cover, require
from services.runtime.http import get_ports
from services.runtime.problems import refusals, refused

router = APIRouter(tags=["scores"])
Reader = Annotated[Caller, Depends(require("assessment.read"))]
InPorts = Annotated[Ports, Depends(get_ports)]
RuleSetInQuery = Annotated[str | None, Query(max_length=32, description="A published rule set; else the one in force.")]


def _rules(name: str | None, last_day: str) -> RuleSet:
    if name is None:
        return rule_set_for(last_day)
    if name not in rule_sets():
        raise refused("rule_set_unknown")
    return rule_sets()[name]


@router.get("/v1/scoreboard", openapi_extra=refusals("rule_set_unknown"))
async def get_scoreboard(
    caller: Reader,
    ports: InPorts,
    period: Annotated[str, Query(pattern=PERIOD_PATTERN, description="`2026-07`, `2026-Q3`, `2026-H2` or `2026`.")],
    rule_set: RuleSetInQuery = None,
) -> Scoreboard:
    """The live scoreboard of the caller's area."""
    of = parse_period(period)
    rules = _rules(rule_set, of.last_day.isoformat())
    scores = await handlers.list_scores(ports.store, caller.area, of, rules)
    names = await store.unit_names(ports.store, [score.unit for score in scores])
    rows = [
        ScoreboardRow(rank=rank, **ScoreView.of(score, names.get(score.unit, "")).model_dump())
        for rank, score in ranked(scores)
    ]
    return Scoreboard(period=of.name, rule_set=rules.id, rows=rows)


@router.get(
    "/v1/units/{unit}/scores/{period}", openapi_extra=refusals("unit_unknown", "outside_area", "rule_set_unknown")
)
async def get_score(
    caller: Reader,
    ports: InPorts,
    unit: Annotated[str, Path(pattern=r"^[0-9]{6}$")],
    period: Annotated[str, Path(pattern=PERIOD_PATTERN)],
    rule_set: RuleSetInQuery = None,
) -> ScoreView:
    """The live score of one unit."""
    must_cover(caller, unit)
    names = await store.unit_names(ports.store, [unit])
    if unit not in names:
        raise refused("unit_unknown")
    of = parse_period(period)
    rules = _rules(rule_set, of.last_day.isoformat())
    return ScoreView.of(await handlers.get_score(ports.store, unit, of, rules), names[unit])


@router.get("/v1/rule-sets")
async def list_rule_sets(caller: Reader) -> list[RuleSetView]:
    """The published rule sets, oldest first."""
    del caller
    return [RuleSetView.of(rule_set) for rule_set in rule_sets().values()]


@router.get("/v1/rule-sets/{rule_set_id}", openapi_extra=refusals("rule_set_unknown"))
async def get_rule_set(caller: Reader, rule_set_id: Annotated[str, Path(max_length=32)]) -> RuleSetView:
    """One rule set: indicators, weights, targets, sources."""
    del caller
    if rule_set_id not in rule_sets():
        raise refused("rule_set_unknown")
    return RuleSetView.of(rule_sets()[rule_set_id])
