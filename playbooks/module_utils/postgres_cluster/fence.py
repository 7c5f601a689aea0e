"""Fences a former primary: whatever starts it, it comes back as a replica or not at all."""

from __future__ import annotations

from .command import Problem
from .docker import inspect_container, is_installed, stop_container
from .server import is_accepting
from .signals import raise_fence
from .spec import Outcome, Spec

# Shorter than container.STOP_SECONDS: a fenced server does not come back as it was.
STOP_SECONDS = 30


def fence(spec: Spec) -> Outcome:
    """Makes sure that a former primary is down and can only come back as a replica. Marks its data, so that no later step
    deletes it: it may hold rows that no replica received."""
    # Fences the data first, so that a server that Docker cannot stop is at least fenced at its next start.
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
