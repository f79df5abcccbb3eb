"""Work for worker processes that end themselves, as a parser may."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from ingest.analyze_file import SqlText, analyze_file
from ingest.reading import analyze_known
from ingest.workers import Workers

FATAL = "fatal_table"


def work(job: str) -> str:
    """ "die", "hang" and "raise" do so; anything else is given back."""
    if job == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if job == "hang":
        time.sleep(60)
    if job == "raise":
        raise ValueError("as asked")
    return job


def analyze_or_die(text: SqlText | None) -> Any:
    """`analyze_file`, but a text that names FATAL ends the process."""
    if text and FATAL in text.sql:
        os.kill(os.getpid(), signal.SIGSEGV)
    return analyze_file(text) if text else None


class FragileWorkers(Workers):
    """Workers that die of texts which name FATAL."""

    def run(self, work: Any, *args: Any, **options: Any) -> Any:
        return super().run(analyze_or_die if work in (analyze_file, analyze_known) else work, *args, **options)
