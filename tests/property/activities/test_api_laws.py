"""Laws of the doors: whatever is sent, the answer is one that is documented and never a server error."""

from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.activities import STATION, UNIT, World, a_session, at, described

PATHS = described()["paths"]
COMMANDS = sorted(path for path, operations in PATHS.items() if "post" in operations)
READS = sorted(path for path, operations in PATHS.items() if "get" in operations)
KNOWN = st.sampled_from(["SE-1", "AC-1", "V-1", str(STATION), "f" * 64])
IDS = KNOWN | st.text(min_size=1, max_size=8).filter(lambda text: not {*"/?"} & {*text})
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["V-1", "2026-07-14T09:00:00+08:00", "9999-12-31T23:59:59-23:59", "0000-00-00T00:00:00Z", UNIT])
)
JSON = st.recursive(
    LEAVES, lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=6), parts, max_size=3)
)


def example_of(path: str) -> dict[str, Any]:
    """The documented body of a command, or none."""
    content = PATHS[path]["post"].get("requestBody", {"content": {}})["content"].get("application/json", {})
    if "examples" in content:
        return dict(content["examples"]["kiosk"]["value"])
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return dict(described()["components"]["schemas"][name]["examples"][0]) if name else {}


@st.composite
def bodies(draw: st.DrawFn, path: str) -> Any:
    """The documented body with some fields bent, or anything at all."""
    example = example_of(path)
    if not example or draw(st.integers(0, 4)) == 0:
        return draw(JSON | st.binary(max_size=40))
    bent = draw(st.dictionaries(st.sampled_from([*example, "surplus"]), JSON, max_size=2))
    return {**example, **bent}


@st.composite
def filled(draw: st.DrawFn, path: str) -> str:
    """The path with ids in its places, as a server hands it on: decoded."""
    return "/".join([draw(IDS) if part.startswith("{") else part for part in path.split("/")])


async def a_world() -> World:
    world = await World().prepare()
    await world.register(1)
    world.put(a_session())
    world.clock.at = at(10)
    return world


@settings(max_examples=40)
@given(st.data())
async def test_whatever_is_commanded_is_answered_as_documented(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(COMMANDS))
    body = data.draw(bodies(path))
    world = await a_world()
    media_type = data.draw(st.sampled_from(["application/json", "text/csv", "text/plain"]))
    answer = await world.post(data.draw(filled(path)), body, headers={"content-type": media_type})
    assert answer.status < 500


NUMBERS = st.integers(-2, 501).map(str) | st.text(max_size=4)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "unit": st.just(UNIT) | st.text(max_size=6),
        "limit": NUMBERS,
        "after": st.text(max_size=8),
        "first": NUMBERS,
        "count": NUMBERS,
        "from": st.dates().map(str) | st.text(max_size=4),
        "to": st.dates().map(str),
        "state": st.sampled_from(["proposed", "approved", "x"]),
    },
)


@settings(max_examples=40)
@given(st.data())
async def test_whatever_is_asked_is_answered_as_documented(data: st.DataObject) -> None:
    path = data.draw(filled(data.draw(st.sampled_from(READS))))
    query = "&".join(f"{name}={quote(text, safe='')}" for name, text in data.draw(QUERIES).items())
    world = await a_world()
    answer = await world.get(f"{path}?{query}")
    assert answer.status < 500
