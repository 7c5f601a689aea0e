"""The timeline that data has reached, by the names of its files."""

from __future__ import annotations

import os
import re
from typing import Optional

from .layout import DATA


def find_received_timeline(directory: Optional[str] = None) -> int:
    """Returns the latest timeline of a WAL segment in the data; 0 without segments.

    A replica that has received changes of a timeline has a segment named after it, long before a checkpoint records it.
    Diverged data has that timeline's history file but no segment. A recycled segment has the timeline that was replayed at
    that time (RemoveOldXlogFiles in xlog.c), so never a later one.
    """
    try:
        names = os.listdir((directory or DATA) + "/pg_wal")
    except OSError:
        return 0
    return max((int(name[:8], 16) for name in names if re.match(r"^[0-9A-F]{24}$", name)), default=0)
