"""Draws a bar for each stage of a load."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.history.loader import STAGES, Told
from deploy.history.sendings import History


@contextmanager
def progress_bars(console: Console, history: History) -> Iterator[Told]:
    """Gives what the loader tells its progress to; the bars last as long as the context."""
    columns = (TextColumn("{task.description:14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        totals = Counter(STAGES[sending.door] for sending in history.sendings)
        bars = {stage: progress.add_task(stage, total=total) for stage, total in totals.items()}
        yield lambda stage, number: progress.advance(bars[stage], number)
