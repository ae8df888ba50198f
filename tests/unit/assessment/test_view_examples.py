"""The examples in the API documents of hours and assessment are what their models accept."""

import pytest
from pydantic import BaseModel

from services.assessment.scores.views import RuleSetView, Scoreboard, ScoreboardRow, ScoreView
from services.hours.ledger.views import AccountView, Balance, EntryView, UnitMonth, Verification

MODELS = (AccountView, Balance, EntryView, UnitMonth, Verification, RuleSetView, Scoreboard, ScoreboardRow, ScoreView)


@pytest.mark.parametrize("model", MODELS)
def test_example_is_an_answer(model: type[BaseModel]) -> None:
    for example in model.model_json_schema()["examples"]:
        assert model.model_validate(example, strict=False).model_dump(mode="json").keys() == example.keys()
