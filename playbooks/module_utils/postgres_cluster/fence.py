"""The fence around a former primary: whatever starts it, it comes back as a replica or not at all."""

from __future__ import annotations

import os

from .command import Problem
from .docker import inspect_container, is_installed, stop_container
from .files import sync_directory, write_text
from .layout import DATA, FORMER_PRIMARY
from .server import is_accepting
from .spec import Outcome, Spec

# A server that nobody waits for gets less time than one that shall come back as it is.
STOP_SECONDS = 30

SIGNAL = "standby.signal"


def fence(spec: Spec) -> Outcome:
    """Makes sure that a former primary is down and can only come back as a replica. What it wrote and nobody
    received stays in its data, which is marked, so that no later step deletes it."""
    # The data first: a server that Docker cannot stop is fenced for its next start at least.
    changed = raise_fence()
    found = inspect_container(spec.container) if is_installed() else None
    if found is not None and (found["State"]["Running"] or found["State"]["Restarting"]):
        stop_container(spec.container, STOP_SECONDS)
        changed = True
    if is_accepting():
        raise Problem(
            "PostgreSQL still answers on %s although its container does not run, so nothing may be promoted. "
            "Stop it there, or terminate the instance, and run this again" % spec.node
        )
    return Outcome(changed)


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
