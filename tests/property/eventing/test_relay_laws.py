"""Laws of publishing: whatever is committed in whatever order, and whatever fails."""

import asyncio
import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from services.eventing.outbox import OUTBOX
from services.eventing.ports import CommitUnknownError, ConflictError, LogError, Message, StoreUnavailableError
from services.eventing.relay.loop import Relay
from services.eventing.relay.order import Row, in_batches, in_publication_order, missing_predecessors, predecessor
from tests.support.outbox import (
    all_changes,
    announce,
    assert_no_event_came_before_its_predecessor,
    id_of,
    outbox_store,
    rows,
    sequences,
)
from tests.support.relays import RelayWorld
from tests.support.simulation.loop import burial

KEYS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4)
TRANSACTIONS = st.lists(KEYS, min_size=1, max_size=12)
SEEDS = st.integers(0, 2**32)
FOLLOW_TURNS_MAX = 10_000


def light(documents: Sequence[dict[str, object]]) -> list[Row]:
    return [Row(str(d["_id"]), tuple(d["streams"]), int(str(d["bytes"]))) for d in documents]  # type: ignore[arg-type]


@given(TRANSACTIONS, st.randoms())
def test_any_part_of_a_history_in_any_order_comes_out_in_order(history: list[list[str]], rng: random.Random) -> None:
    part = light(rng.sample(documents := rows(*history), rng.randint(0, len(documents))))
    ordered = in_publication_order(part)
    assert sorted(ordered) == sorted(part)
    held = {stream for row in part for stream in row.streams}
    sent: set[str] = set()
    for row in ordered:
        for stream in row.streams:
            before = predecessor(stream)
            assert before not in held or before in sent
            sent.add(stream)
    assert set(missing_predecessors({row.id: row for row in part})).isdisjoint(held)


@given(TRANSACTIONS, st.integers(1, 8), st.integers(1, 5_000))
def test_batches_lose_nothing_and_stay_within_their_limits(
    history: list[list[str]], events_max: int, bytes_max: int
) -> None:
    whole = light(rows(*history))
    batches = list(in_batches(whole, events_max=events_max, bytes_max=bytes_max))
    assert [row for batch in batches for row in batch] == whole
    for batch in batches:
        small = sum(len(r.streams) for r in batch) <= events_max and sum(r.bytes for r in batch) <= bytes_max
        assert small or len(batch) == 1


@given(TRANSACTIONS, SEEDS)
def test_sequences_count_each_keys_events_without_a_gap(history: list[list[str]], seed: int) -> None:
    """Transactions run beside each other; some are refused after they have emitted."""
    store = outbox_store()
    rng = random.Random(seed)
    refused = {f"r{n}" for n in range(len(history)) if rng.random() < 0.3}

    async def command(row_id: str, keys: list[str]) -> None:
        for _ in range(rng.randint(0, 3)):
            await asyncio.sleep(0)
        if row_id not in refused:
            await announce(store, *keys, row_id=row_id)

    async def story() -> None:
        await asyncio.gather(*(command(f"r{n}", keys) for n, keys in enumerate(history)))

    asyncio.run(story())
    found: dict[str, list[int]] = {}
    for document in store.documents(OUTBOX).values():
        for event in document["events"]:
            found.setdefault(event["key"], []).append(event["sequence"])
    accepted = [key for n, keys in enumerate(history) if f"r{n}" not in refused for key in keys]
    assert {key: sorted(numbers) for key, numbers in found.items()} == {
        key: list(range(1, accepted.count(key) + 1)) for key in accepted
    }


class TornRelay(Relay):
    """Its scans miss rows at random, as scans do that run while others commit; a full one comes in time."""

    async def scan(self) -> list[Row]:
        found = await super().scan()
        rng = self.ports.rng
        seen = [row for row in found if rng.random() < 0.6]
        rng.shuffle(seen)
        return seen or found


class RoughWorld(RelayWorld):
    """Store and log fail at random until ``calm``; relays die and come back."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.rng = random.Random(seed)
        self.is_calm = False
        self.store.fault = self.fault
        self.log.before = self.before

    def fault(self, name: str) -> None:
        if self.is_calm or self.rng.random() > 0.03:
            return
        if name == "committed":
            raise CommitUnknownError
        raise self.rng.choice((StoreUnavailableError, ConflictError))

    async def before(self, message: Message) -> None:
        await asyncio.sleep(self.rng.random() * 0.05)
        if not self.is_calm and self.rng.random() < 0.05:
            raise LogError(id_of(message))

    async def commands(self, history: list[list[str]]) -> None:
        """Commits the history in order per key, each transaction until it is known to be there."""
        for n, keys in enumerate(history):
            await asyncio.sleep(self.rng.random())
            while f"r{n:02}" not in self.store.documents(OUTBOX):
                try:
                    await announce(self.store, *keys, row_id=f"r{n:02}")
                except (StoreUnavailableError, ConflictError, CommitUnknownError):
                    await asyncio.sleep(0.1)

    async def deaths(self) -> None:
        """Kills one of two relays now and then, and starts it again."""
        relays = [self.start(f"relay-{n}", relay=TornRelay) for n in range(2)]
        while not self.is_calm:
            await asyncio.sleep(self.rng.random() * 10)
            victim = self.rng.randrange(2)
            relays[victim].node.kill()
            relays[victim] = self.start(f"relay-{victim}", relay=TornRelay)


@settings(max_examples=60)
@given(TRANSACTIONS, SEEDS)
def test_what_is_published_of_a_key_is_always_a_gap_free_prefix_and_in_the_end_everything(
    history: list[list[str]], seed: int
) -> None:
    with burial():  # at its end nothing may hold the world any more: hence a function of its own
        publish_in_rough_weather(history, seed)


def publish_in_rough_weather(history: list[list[str]], seed: int) -> None:
    world = RoughWorld(seed)

    async def story() -> None:
        deaths = asyncio.ensure_future(world.deaths())
        await world.commands(history)
        await asyncio.sleep(5)
        world.is_calm = True
        await deaths
        await world.marked()

    world.run(story())
    assert_no_event_came_before_its_predecessor(world.log.messages)
    assert_everything_is_there(world, history)
    assert_changes_replay(world)


def assert_everything_is_there(world: RelayWorld, history: list[list[str]]) -> None:
    events = [key for keys in history for key in keys]
    published = {key.decode(): set(numbers) for (_, key), numbers in sequences(world.log.messages).items()}
    assert published == {key: set(range(1, events.count(key) + 1)) for key in events}


def assert_changes_replay(world: RelayWorld) -> None:
    """Every event once, each key in order, the same for every size of page."""
    by_limit = [world.run(all_changes(world.store, limit=limit)) for limit in (1, 2, 3, 200)]
    feeds = [[item for page in pages for item in page.items] for pages in by_limit]
    assert all(feed == feeds[0] for feed in feeds)
    values = {event["value"]: event for row in world.store.documents(OUTBOX).values() for event in row["events"]}
    assert len(feeds[0]) == len(values)
    assert set(feeds[0]) == set(values)
    highest: dict[str, int] = {}
    for item in feeds[0]:
        event = values[item]
        assert event["sequence"] == highest.get(event["key"], 0) + 1
        highest[event["key"]] = event["sequence"]


@settings(max_examples=60)
@given(TRANSACTIONS, st.lists(st.integers(1, 5), min_size=1, max_size=6), SEEDS)
def test_a_reader_that_follows_the_feed_gets_what_a_late_reader_gets(
    history: list[list[str]], limits: list[int], seed: int
) -> None:
    with burial():
        followed, late = read_early_and_late(history, limits, seed)
    assert followed == late


def read_early_and_late(history: list[list[str]], limits: list[int], seed: int) -> tuple[list[bytes], list[bytes]]:
    world = RelayWorld(seed)
    total = sum(len(keys) for keys in history)
    followed: list[bytes] = []

    async def follow() -> None:
        cursor = None
        turn = 0
        while len(followed) < total:
            pages = await all_changes(world.store, limit=limits[turn % len(limits)], after=cursor)
            followed.extend(item for page in pages for item in page.items)
            cursor = pages[-1].next
            turn += 1
            assert turn < FOLLOW_TURNS_MAX, "the feed never came to its end"
            await asyncio.sleep(0.05)

    async def story() -> list[bytes]:
        world.start()
        following = asyncio.ensure_future(follow())
        for n, keys in enumerate(history):
            await announce(world.store, *keys, row_id=f"r{n:02}")
            await asyncio.sleep(0.02)
        await following
        return [item for page in await all_changes(world.store, limit=200) for item in page.items]

    return followed, world.run(story())
