"""Makes facts and outbox rows as commands would, and a log that keeps what it is given."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from services.contracts.ids import EventId
from services.eventing.changes import ChangesPage, read_changes
from services.eventing.facts import Fact
from services.eventing.outbox import COLLECTIONS, INDEXES, emit, stage
from services.eventing.ports import Document, LogError, Message, Reads, Store
from services.eventing.relay import lease
from tests.support.memory_store import MemoryStore
from tests.support.records import NOON, check_in


def fact(key: str, name: str = "event") -> Fact:
    """Some event of ``key``; its id is unique if ``name`` is."""
    return Fact(EventId(name), check_in(key), NOON)


def facts(*keys: str, name: str = "event") -> list[Fact]:
    """One event of each key, in order."""
    return [fact(key, f"{name}-{place}") for place, key in enumerate(keys)]


def row(heads: dict[tuple[str, str], int], *keys: str, row_id: str, at: datetime = NOON) -> Document:
    """An outbox document with one event of each key; moves ``heads`` on."""
    announced = facts(*keys, name=row_id)
    for each in announced:
        heads.setdefault((each.data.TOPIC, each.data.key), 0)
    return stage(announced, heads, row_id=row_id, at=at)


def rows(*keys: Sequence[str]) -> list[Document]:
    """Rows ``row-01``, ``row-02``, ..., each with events of the given keys."""
    heads: dict[tuple[str, str], int] = {}
    return [row(heads, *some, row_id=f"row-{place:02}") for place, some in enumerate(keys, 1)]


def outbox_store() -> MemoryStore:
    """A store that is prepared as a service's is."""
    return MemoryStore(INDEXES, collections=(*COLLECTIONS, *lease.COLLECTIONS))


async def announce(store: Store, *keys: str, row_id: str) -> None:
    """Commits a transaction that emits one event of each key."""
    await store.transact(lambda tx: emit(tx, facts(*keys, name=row_id), row_id=row_id, at=NOON))


class KeptLog:
    """Keeps the port ``LogWriter``. ``before`` is awaited before every message and may raise ``LogError`` or wait."""

    def __init__(self, before: Callable[[Message], Awaitable[None]] | None = None) -> None:
        self.messages: list[Message] = []
        self.appends = 0
        self.before = before

    async def append(self, messages: Sequence[Message]) -> None:
        self.appends += 1
        for message in messages:
            if self.before is not None:
                await self.before(message)
            self.messages.append(message)

    @property
    def ids(self) -> list[str]:
        """The event ids in the log, in order."""
        return [id_of(message) for message in self.messages]


def id_of(message: Message) -> str:
    """A message's event id."""
    return dict(message.headers)["ce_id"].decode()


def failing(times: int) -> Callable[[Message], Awaitable[None]]:
    """Lets the log fail the first ``times`` messages it is given."""
    left = times

    async def before(message: Message) -> None:
        nonlocal left
        if left:
            left -= 1
            raise LogError("no answer")

    return before


def sequences(messages: Iterable[Message]) -> dict[tuple[str, bytes], list[int]]:
    """The sequences in the log by topic and key, in order, repeats included."""
    found: dict[tuple[str, bytes], list[int]] = defaultdict(list)
    for message in messages:
        found[message.topic, message.key].append(int(dict(message.headers)["ce_sequence"]))
    return found


def assert_no_event_came_before_its_predecessor(messages: Iterable[Message]) -> None:
    """The relay's promise: repeats are allowed, a gap never is."""
    for stream, numbers in sequences(messages).items():
        highest = 0
        for number in numbers:
            assert number <= highest + 1, f"{stream}: {number} after {highest}"
            highest = max(highest, number)


async def all_changes(store: Reads, *, limit: int, after: str | None = None) -> list[ChangesPage]:
    """Every page of the change feed from a cursor on, up to the first empty one."""
    pages: list[ChangesPage] = []
    while True:
        page = await read_changes(store, after, limit)
        pages.append(page)
        if not page.items:
            return pages
        after = page.next
