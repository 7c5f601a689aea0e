"""Stops a node that leaves the cluster, or whose machine is about to stop."""

from __future__ import annotations

from typing import List

from .archive_push import is_archiving
from .archive_wait import empty_queue
from .command import Problem
from .docker import is_installed, remove_container
from .psql import Session
from .server import name_aside, read_role
from .server import stop as stop_server
from .spec import Outcome, Spec


def stop(spec: Spec) -> Outcome:
    """Shuts the server down and removes its container, so that only a step can start it again."""
    if not is_installed():
        return Outcome(False)
    notes = _archive_rest(spec)
    stop_server(spec)
    remove_container(name_aside(spec))
    return Outcome(remove_container(spec.container), notes=notes)


def _archive_rest(spec: Spec) -> List[str]:
    """On a primary with backups: waits until they have what was written up to now. Its volume may be about to be removed."""
    if not is_archiving() or read_role(spec) != "primary":
        return []
    try:
        with Session(spec.container) as session:
            return empty_queue(session, spec, "The server was stopped all the same: what waits is on its volume only")
    except Problem as problem:
        return ["the backups may lack the last minutes, as the server did not answer: %s" % problem.message]
