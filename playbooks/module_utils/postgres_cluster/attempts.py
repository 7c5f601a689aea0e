"""Retries of work that depends on the network, with a count for the error message."""

from __future__ import annotations

import time
from typing import Sequence


class Attempts:
    """Counts the attempts at one task. As text: `3 times over 25 s`."""

    def __init__(self, pauses: Sequence[float]) -> None:
        """`pauses`: seconds before the second attempt, the third, …; there is one more attempt than pauses."""
        self._pauses = pauses
        self._start = time.monotonic()
        self._made = 0

    def pause(self) -> bool:
        """Waits after a failed attempt. Returns whether there is another one."""
        self._made += 1
        if self._made > len(self._pauses):
            return False
        time.sleep(self._pauses[self._made - 1])
        return True

    def __str__(self) -> str:
        times = "once" if self._made == 1 else "%d times" % self._made
        return "%s over %d s" % (times, time.monotonic() - self._start)
