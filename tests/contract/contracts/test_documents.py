"""The generated contract documents: fresh, and true to the code."""

import json
from pathlib import Path

import pytest

from services.contracts.catalogue import EVENTS
from services.contracts.documents import contract_files
from services.contracts.topics import TOPICS

ROOT = Path(__file__).parents[3]
FILES = contract_files(ROOT)


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_file_regenerates_to_itself(path: Path) -> None:
    assert path.read_text() == FILES[path], "run: make generate"


def test_asyncapi_names_every_topic_and_event_and_its_references_resolve() -> None:
    document = json.loads((ROOT / "docs" / "asyncapi.json").read_text())
    assert set(document["channels"]) == {topic.name for topic in TOPICS}
    assert set(document["components"]["messages"]) == {event.TYPE for event in EVENTS}
    for channel in document["channels"].values():
        for message in channel["messages"].values():
            assert message["$ref"].removeprefix("#/components/messages/") in document["components"]["messages"]
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]
