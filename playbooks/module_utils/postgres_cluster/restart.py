"""Starting and restarting a node that holds data."""

from __future__ import annotations

import os
import time
from typing import Dict, Optional

from .command import Problem, run
from .container import STOP_SECONDS, is_current
from .docker import inspect_container
from .files import read_text, write_text
from .image import Image, ensure_image
from .layout import CONF, CONTAINER_DATA, CONTAINER_ETC, DATA, ETC, HBA
from .psql import ask_once
from .record import is_standby, read_record, require_same_family, write_record
from .sensitive import find_too_low, parse_control, raise_conf
from .server import (
    ensure_container,
    is_up,
    list_arguments,
    stop,
    wait_until_ready,
    wait_until_streaming,
    write_files,
    write_passfile,
)
from .spec import Outcome, Spec
from .volume import require_mounted

# How long a replica may take to replay what its primary wrote when it restarted.
REPLAY_SECONDS = 60


def start(spec: Spec) -> Outcome:
    """Starts the server of a node that holds data and stands still, with the image it last ran: another image
    is a restart's, which comes in its own time."""
    require_mounted(spec.cluster)
    record = read_record()
    return _start(spec if record is None else spec._replace(image=record["image"]))


def _start(spec: Spec) -> Outcome:
    image = choose_image(spec)
    if is_standby() and not is_up(inspect_container(spec.container)):
        return _start_replica(spec, image)
    changed = bool(write_files(spec, image))
    changed = ensure_container(spec, image) or changed
    return _finish(spec, image, changed)


def restart(spec: Spec) -> Outcome:
    """Restarts the server with its new configuration or image; does nothing when it runs with them already.

    Everything that can be found wrong is found before the server stops. What shows only at the start, such
    as more shared memory than the node has, is undone.
    """
    image = choose_image(spec)
    found = inspect_container(spec.container)
    if found is None or not is_up(found):
        return _start(spec)
    check_configuration(spec)
    # First of all: the primary may have a new password, and a replica that cannot log in never catches up.
    write_passfile(spec, image)
    if is_standby():
        wait_for_primary(spec)
    before = {name: read_text("%s/%s" % (ETC, name)) for name in (CONF, HBA)}
    changed = bool(write_files(spec, image))
    if not changed and is_current(found, list_arguments(spec, image)) and not is_stale(spec):
        return _finish(spec, image, False)
    stop(spec)
    ensure_container(spec, image)
    try:
        wait_until_ready(spec)
    except Problem as problem:
        if before == {CONF: spec.conf, HBA: spec.hba} or None in before.values():
            raise
        _go_back(spec, image, before)
        raise Problem(
            "PostgreSQL on %s does not start with the new configuration; it runs with the old one again" % spec.node,
            problem.log,
        )
    return _finish(spec, image, True)


def _go_back(spec: Spec, image: Image, before: Dict[str, Optional[str]]) -> None:
    for name, text in before.items():
        write_text("%s/%s" % (ETC, name), text or "")
    run(["docker", "stop", spec.container], timeout=STOP_SECONDS + 60)
    ensure_container(spec, image)
    wait_until_ready(spec)


def _start_replica(spec: Spec, image: Image) -> Outcome:
    """Starts a replica, at first with what its primary last ran with where the new settings are lower.

    So it stands after a rollout that lowers settings and was interrupted: the primary is through, and the
    replica has yet to replay it.
    """
    floor = find_too_low(spec.conf, read_stopped_control(image))
    write_files(spec._replace(conf=raise_conf(spec.conf, floor)), image)
    ensure_container(spec, image)
    outcome = _finish(spec, image, True)
    return restart(spec)._replace(changed=True) if floor else outcome


def choose_image(spec: Spec) -> Image:
    """The image that the node shall run: the recorded one as long as the same is asked for, so that a
    floating tag which moved changes nothing; else what another node made of the new reference in this run
    (trap 6). Raises Problem for one that must not run on the data."""
    require_mounted(spec.cluster)
    record = read_record()
    if record is None:
        raise Problem("%s has no complete data; there is nothing to start" % spec.node)
    known = [record, *spec.known]
    reference = next((item["digest"] for item in known if item["image"] == spec.image), spec.image)
    image, _ = ensure_image(reference)
    require_same_family(image)
    return image


def is_stale(spec: Spec) -> bool:
    """Whether the server started before its configuration was last written."""
    started = ask_once(spec.container, "SELECT to_json(extract(epoch FROM pg_postmaster_start_time()))")
    return started is None or os.path.getmtime("%s/%s" % (ETC, CONF)) > float(started)


def wait_for_primary(spec: Spec) -> None:
    """Waits until this replica has replayed a primary that runs with no more than the replica's new settings.
    Raises Problem when it does not come to that; nothing has been stopped then."""
    deadline = time.monotonic() + REPLAY_SECONDS
    while True:
        output = run(["docker", "exec", "--env", "LC_ALL=C", spec.container, "pg_controldata", CONTAINER_DATA], timeout=60).stdout
        floor = find_too_low(spec.conf, parse_control(output))
        if not floor:
            return
        if time.monotonic() > deadline:
            wanted = ", ".join("%s %d" % item for item in sorted(floor.items()))
            raise Problem(
                "%s was not restarted: its primary runs with %s, and a replica must have at least as much"
                % (spec.node, wanted)
            )
        time.sleep(0.2)


def read_stopped_control(image: Image) -> Dict[str, int]:
    """The sensitive settings in the control file of a server that does not run."""
    mount = "type=bind,source=%s,target=%s,readonly" % (DATA, CONTAINER_DATA)
    worker = ["docker", "run", "--rm", "--env", "LC_ALL=C", "--network", "none", "--user", "%d:%d" % image.owner, "--mount", mount]
    command = ["--entrypoint", "pg_controldata", image.pinned, CONTAINER_DATA]
    return parse_control(run([*worker, *command], timeout=60).stdout)


def check_configuration(spec: Spec) -> None:
    """Has the running container's own `postgres` read the new postgresql.conf, without starting anything."""
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


def _finish(spec: Spec, image: Image, changed: bool) -> Outcome:
    wait_until_ready(spec)
    if is_standby():
        wait_until_streaming(spec)
    record = read_record() or {}
    changed = write_record(image, spec.image, record["locale"], record["systemIdentifier"]) or changed
    return Outcome(changed, spec.image, image.pinned, [])
