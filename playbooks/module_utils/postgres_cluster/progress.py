"""Reports how far a wait for a server is, for a watcher, if the call may end before the wait does."""

from __future__ import annotations

import time
from typing import Callable, Optional, Tuple

from .files import read_json
from .spec import Spec
from .worker import PROGRESS, write_progress

# The shortest time between two reports.
REPORT_SECONDS = 1


class Report:
    """The report of one wait. `kind`: recovery or replay; `measure` returns the bytes of WAL that are done, and those in all
    or None."""

    def __init__(self, spec: Spec, kind: str, measure: Callable[[], Tuple[int, Optional[int]]]) -> None:
        self._spec = spec
        self._kind = kind
        self._measure = measure
        self._started = int(time.time())
        self._written: Optional[float] = None

    def write(self, now: float) -> None:
        """Writes it, at most once per REPORT_SECONDS of the clock `now`. A shorter wait is not reported."""
        if self._spec.deadline is None:
            return
        if self._written is None:
            self._written = now
        if now < self._written + REPORT_SECONDS:
            return
        self._written = now
        done, total = self._measure()
        write_progress(self._spec.step, self._kind, done, total, self._started)


def end_report() -> None:
    """Reports that nobody waits any more: the step is done, has failed, or is to be done again. A unit reports its own
    end."""
    last = read_json(PROGRESS)
    # An earlier version's copy does not say that it is a unit.
    if last and last["kind"] != "copy" and not last.get("detached") and last["working"]:
        write_progress(last["step"], last["kind"], last["done"], last["total"], last["started"], working=False)
