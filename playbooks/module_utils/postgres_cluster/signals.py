"""The files in a data directory that decide the role its server starts in. Requires only the data: the guard reads and
writes them before Docker runs."""

from __future__ import annotations

import os

from .files import sync_directory, write_text
from .layout import DATA, FORMER_PRIMARY

SIGNAL = "standby.signal"


def raise_fence() -> bool:
    """Makes a primary's data start only as a replica; returns whether anything changed.

    A replica's data gets no mark: it has only rows of its primary.
    """
    if not os.path.isdir(DATA):
        return False
    if os.path.exists("%s/%s" % (DATA, SIGNAL)):
        return False
    # The mark first: with only the signal, the data would count as a replica's.
    write_signal(FORMER_PRIMARY)
    write_signal(SIGNAL)
    return True


def lift_fence() -> bool:
    """Makes the data start as a primary again; returns whether it was fenced."""
    return any([remove_signal(SIGNAL), remove_signal(FORMER_PRIMARY)])


def remove_mark() -> bool:
    """Removes the mark of a former primary; returns whether there was one. Only once it streams: then the primary has all
    of its data."""
    return remove_signal(FORMER_PRIMARY)


def is_marked(directory: str) -> bool:
    """Whether a data directory was a primary's when its server was last stopped."""
    marked = os.path.exists("%s/%s" % (directory, FORMER_PRIMARY))
    return marked or not os.path.exists("%s/%s" % (directory, SIGNAL))


def write_signal(name: str, directory: str = DATA) -> None:
    """Writes an empty file into a data directory, with the directory's owner, flushed to disk."""
    status = os.stat(directory)
    write_text("%s/%s" % (directory, name), "", 0o600, (status.st_uid, status.st_gid))


def remove_signal(name: str, directory: str = DATA) -> bool:
    """Removes a file from a data directory, flushed to disk; returns whether it existed."""
    try:
        os.unlink("%s/%s" % (directory, name))
    except FileNotFoundError:
        return False
    sync_directory(directory)
    return True
