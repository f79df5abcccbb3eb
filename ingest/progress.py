"""Progress on the command line: a bar in a terminal, now and then a line elsewhere, nothing when output is data."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_SECONDS_BETWEEN_LINES = 10


@contextmanager
def shown_progress(quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A function (step, done, of) that shows how far a long command is, on standard error."""
    if quiet:
        yield lambda step, done, of: None
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _on_bars(bars)
    else:
        yield _in_lines()


def _bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def _on_bars(bars: Progress) -> Callable[[str, int, int], None]:
    tasks = {}

    def show(step: str, done: int, of: int) -> None:
        if step not in tasks:
            tasks[step] = bars.add_task(step, total=of)
        bars.update(tasks[step], completed=done, total=of)

    return show


def _in_lines() -> Callable[[str, int, int], None]:
    last: dict[str, float] = {}

    def show(step: str, done: int, of: int) -> None:
        now = time.monotonic()
        if step not in last or done == of or now - last[step] >= _SECONDS_BETWEEN_LINES:
            last[step] = now
            print(f"{step}: {done} of {of}", file=sys.stderr, flush=True)

    return show
