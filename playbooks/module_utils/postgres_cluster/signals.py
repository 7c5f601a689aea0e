"""The files in a data directory that decide what its server comes up as. Needs nothing but the data: the guard reads
and writes them before Docker runs."""

from __future__ import annotations

import os

from .files import sync_directory, write_text
from .layout import DATA, FORMER_PRIMARY

SIGNAL = "standby.signal"


def raise_fence() -> bool:
    """Has data that was a primary's come back as a replica's only; gives whether it did not before.

    A replica's data gets no mark: what it holds was the primary's.
    """
    if not os.path.isdir(DATA):
        return False
    if os.path.exists("%s/%s" % (DATA, SIGNAL)):
        return False
    # The mark first: with the signal alone the data would pass for a replica's.
    write_signal(FORMER_PRIMARY)
    write_signal(SIGNAL)
    return True


def lift_fence() -> bool:
    """Has the data be a primary's again; gives whether it was fenced."""
    return any([remove_signal(SIGNAL), remove_signal(FORMER_PRIMARY)])


def remove_mark() -> bool:
    """Takes the mark of a former primary from data that streams again: the primary has all of it."""
    return remove_signal(FORMER_PRIMARY)


def is_marked(directory: str) -> bool:
    """Whether a data directory was a primary's when it was last stopped."""
    marked = os.path.exists("%s/%s" % (directory, FORMER_PRIMARY))
    return marked or not os.path.exists("%s/%s" % (directory, SIGNAL))


def write_signal(name: str, directory: str = DATA) -> None:
    """Writes an empty file into a data directory, its owner's, flushed to disk."""
    status = os.stat(directory)
    write_text("%s/%s" % (directory, name), "", 0o600, (status.st_uid, status.st_gid))


def remove_signal(name: str, directory: str = DATA) -> bool:
    """Removes a file from a data directory for good; gives whether it was there."""
    try:
        os.unlink("%s/%s" % (directory, name))
    except FileNotFoundError:
        return False
    sync_directory(directory)
    return True
