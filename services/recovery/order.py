"""Merges a key's input topics in the order that the owner's own topic recorded."""

from collections import defaultdict
from collections.abc import Iterable


class Causes:
    """Which causes the record names for each key, in order, and which of them have come.

    An event that the record does not name changed nothing that others could see the order of, so it may come whenever
    its own topic has it; one that is named waits until those named before it have come.
    """

    def __init__(self) -> None:
        self._turns: dict[str, tuple[str, int]] = {}
        self._named: defaultdict[str, int] = defaultdict(int)
        self._next: defaultdict[str, int] = defaultdict(int)
        self._left = 0

    @property
    def left(self) -> int:
        """How many named causes have not come yet."""
        return self._left

    def learn(self, named: Iterable[tuple[str, str]]) -> None:
        """Takes in pairs of key and cause as the record has them; a cause may be named many times."""
        for key, cause in named:
            if cause not in self._turns:
                self._turns[cause] = key, self._named[key]
                self._named[key] += 1
                self._left += 1

    def may_come(self, event_id: str) -> bool:
        """Whether all that the record names before this event has come."""
        turn = self._turns.get(event_id)
        return turn is None or turn[1] <= self._next[turn[0]]

    def came(self, event_id: str) -> None:
        """Counts an event as come, in its turn or not."""
        turn = self._turns.get(event_id)
        if turn is not None and turn[1] >= self._next[turn[0]]:
            self._left -= turn[1] + 1 - self._next[turn[0]]
            self._next[turn[0]] = turn[1] + 1
