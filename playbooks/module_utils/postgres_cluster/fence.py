"""The fence around a former primary: whatever starts it, it comes back as a replica or not at all."""

from __future__ import annotations

from .command import Problem
from .docker import inspect_container, is_installed, stop_container
from .server import is_accepting
from .signals import raise_fence
from .spec import Outcome, Spec

# A server that nobody waits for gets less time than one that shall come back as it is.
STOP_SECONDS = 30


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
