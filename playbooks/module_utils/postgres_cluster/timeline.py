"""Which timeline data has reached, by the names of its files."""

from __future__ import annotations

import os
import re
from typing import Optional

from .layout import DATA


def find_received_timeline(directory: Optional[str] = None) -> int:
    """The latest timeline of which the data has WAL, by the names of the segments; 0 without any.

    A replica that has received changes of a timeline has a segment named after it, long before a checkpoint says so.
    Data that went another way has the history file of that timeline, and no segment. One that is kept for later use
    has a name of the timeline that was replayed then (RemoveOldXlogFiles in xlog.c), so of none that is later.
    """
    try:
        names = os.listdir((directory or DATA) + "/pg_wal")
    except OSError:
        return 0
    return max((int(name[:8], 16) for name in names if re.match(r"^[0-9A-F]{24}$", name)), default=0)
