"""Restarts a node with a new configuration or image."""

from __future__ import annotations

import os
from .command import Problem, run
from .container import is_current
from .docker import inspect_container
from .files import read_text, write_text
from .layout import CONF, CONTAINER_DATA, CONTAINER_ETC, ETC
from .psql import ask_once
from .record import choose_image
from .sensitive import wait_for_primary
from .server import (
    is_up,
    list_arguments,
    require_role,
    stop,
    write_files,
    write_passfile,
)
from .signals import lift_fence
from .spec import Outcome, Spec
from .start import comes_up, finish, read_configuration, start_or_roll_back, start_server


def restart(spec: Spec) -> Outcome:
    """Restarts the server with its new configuration or image; does nothing if it already runs with both.

    The configuration is checked before the server is stopped. If the server fails to start, for example because the node
    lacks the shared memory, the change is rolled back.
    """
    image = choose_image(spec)
    found = inspect_container(spec.container)
    # A server that is still starting is not stopped.
    if found is None or not is_up(found) or not comes_up(spec):
        return start_server(spec, image)
    require_role(spec)
    check_configuration(spec)
    # First: the primary's password may be new, and a replica that cannot log in never catches up.
    write_passfile(spec, image)
    # If an interrupted switchover fenced it, it would start as a replica.
    lifted = spec.is_primary and lift_fence()
    if not spec.is_primary:
        wait_for_primary(spec)
    before = read_configuration()
    changed = bool(write_files(spec, image))
    if not changed and is_current(found, list_arguments(spec, image)) and not is_stale(spec):
        return finish(spec, image, lifted)
    stop(spec)
    start_or_roll_back(spec, image, before)
    return finish(spec, image, True)


def is_stale(spec: Spec) -> bool:
    """Whether the server started before its configuration was last written."""
    started = ask_once(spec.container, "SELECT to_json(extract(epoch FROM pg_postmaster_start_time()))")
    return started is None or os.path.getmtime("%s/%s" % (ETC, CONF)) > float(started)


def check_configuration(spec: Spec) -> None:
    """Checks the new postgresql.conf with `postgres` in the running container, without starting a server."""
    path = "%s/%s.next" % (ETC, CONF)
    if read_text("%s/%s" % (ETC, CONF)) == spec.conf:
        return
    write_text(path, spec.conf)
    command = ["postgres", "-D", CONTAINER_DATA, "-c", "config_file=%s/%s.next" % (CONTAINER_ETC, CONF)]
    try:
        result = run(
            ["docker", "exec", spec.container, *command, "-C", "max_connections"], check=False, timeout=60
        )
    finally:
        os.unlink(path)
    if result.returncode != 0:
        raise Problem(
            "PostgreSQL on %s does not accept the new configuration; it was not restarted" % spec.node,
            result.stderr,
        )
