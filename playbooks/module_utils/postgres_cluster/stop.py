"""Stops a node that leaves the cluster, or whose machine is about to stop."""

from __future__ import annotations

from .docker import is_installed, remove_container
from .server import name_aside
from .server import stop as stop_server
from .spec import Outcome, Spec


def stop(spec: Spec) -> Outcome:
    """Shuts the server down and removes its container, so that only a step can start it again."""
    if not is_installed():
        return Outcome(False)
    stop_server(spec)
    remove_container(name_aside(spec))
    return Outcome(remove_container(spec.container))
