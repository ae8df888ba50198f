"""Adds up the counters of processes that are killed, and so begin at nought again and again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


def counters(text: str, names: Iterable[str]) -> dict[str, float]:
    """The sums of some counters, over their labels, in a text as Prometheus reads it."""
    found = dict.fromkeys(names, 0.0)
    for line in text.splitlines():
        name = line.partition(" ")[0].partition("{")[0]
        if name in found:
            found[name] += float(line.rpartition(" ")[2])
    return found


@dataclass(slots=True)
class Tally:
    """What all lives of all processes counted, at least: what one counted between the last look and its end is lost."""

    _ended: dict[str, float] = field(default_factory=dict)
    _last: dict[str, Mapping[str, float]] = field(default_factory=dict)

    def look(self, process: str, values: Mapping[str, float]) -> None:
        """Takes in what a process says now; less than before means that it is another life of it."""
        before = self._last.get(process, {})
        if any(values.get(name, 0.0) < value for name, value in before.items()):
            for name, value in before.items():
                self._ended[name] = self._ended.get(name, 0.0) + value
        self._last[process] = values

    def total(self, name: str) -> int:
        """What a counter came to over all processes."""
        return int(self._ended.get(name, 0.0) + sum(values.get(name, 0.0) for values in self._last.values()))
