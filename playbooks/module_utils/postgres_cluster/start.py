"""Starting a node that holds data, as the primary or as its replica."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

from .check import find_fault
from .clone import clone
from .command import Problem, run
from .control import read_text_of
from .docker import inspect_container
from .fence import raise_fence
from .files import read_text, write_text
from .image import Image
from .layout import CONF, DATA, ETC, HBA
from .psql import Session, ask_once
from .record import choose_image, is_standby, read_record, write_record
from .reload import apply_files, settle_replica
from .sensitive import find_too_low, parse_control, raise_conf, wait_for_primary
from .server import (
    ensure_container,
    is_accepting,
    is_up,
    read_role,
    require_role,
    stop,
    wait_until_ready,
    wait_until_streaming,
    write_files,
)
from .spec import Outcome, Spec
from .volume import require_mounted

# How long a replica may go without receiving anything or getting on with what it has, before it is cloned.
FOLLOW_SECONDS = 30
# A server that does not start has nothing to write.
GIVE_UP_SECONDS = 10

# Replay shows what it waits for as any session does: RecoveryConflict…, a lock, or a buffer that is pinned.
CONFLICT = """
SELECT coalesce((
  SELECT json_build_object('pid', pid, 'seconds', extract(epoch FROM clock_timestamp() - xact_start)::int)
  FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    AND EXISTS (
      SELECT FROM pg_stat_activity
      WHERE backend_type = 'startup'
        AND (wait_event LIKE 'RecoveryConflict%' OR wait_event_type IN ('Lock', 'BufferPin')))
  ORDER BY xact_start LIMIT 1), 'null')
"""


def start(spec: Spec) -> Outcome:
    """Starts the server of a node that holds data and stands still, with the image it last ran: another image
    is a restart's, which comes in its own time."""
    require_mounted(spec.cluster)
    record = read_record()
    spec = spec if record is None else spec._replace(image=record["image"])
    return start_server(spec, choose_image(spec))


def start_server(spec: Spec, image: Image) -> Outcome:
    """Starts the server as the step's primary or as its replica. Data that does not follow the primary is
    replaced by a clone, and kept where it may hold rows of its own."""
    up = is_up(inspect_container(spec.container))
    if up:
        wait_until_ready(spec)
        require_role(spec)
    if spec.is_primary:
        return _start_primary(spec, image)
    try:
        changed, floor = _start_replica(spec, image, up)
    except Problem as problem:
        # A clone would come to the same end where the configuration is at fault.
        if spec.source is None or find_fault(spec, image) is not None:
            raise
        waits = _describe_conflict(spec)
        if waits is not None:
            raise Problem(waits, problem.log)
        if is_accepting() and read_role(spec) is None:
            raise Problem(
                "PostgreSQL on %s answers, but lets nobody in: all its connections may be taken. End some of them, "
                "or raise max_connections, and run again; its data is left as it is" % spec.node,
                problem.log,
            )
        outcome = clone(spec)
        note = "its own data did not follow %s (%s), so it was cloned again" % (spec.primary, problem.message)
        return outcome._replace(notes=[note, *outcome.notes])
    if floor:
        wait_for_primary(spec)
        stop(spec)
        write_files(spec, image)
        ensure_container(spec, image)
    return finish(spec, image, changed)


def _describe_conflict(spec: Spec) -> Optional[str]:
    """Why a replica's replay stands still where it is queries there that it waits for (PostgreSQL manual, 26.4.2):
    a clone would end them, and its data is as good as any. None where it does not wait for them."""
    oldest = ask_once(spec.container, CONFLICT)
    if oldest is None:
        return None
    return (
        "replay on %s waits for queries there (the oldest runs for %d s, pid %d), as max_standby_streaming_delay or "
        "max_standby_archive_delay lets it. End them (pg_terminate_backend) or wait for them, and run again; its data "
        "is left as it is" % (spec.node, oldest["seconds"], oldest["pid"])
    )


def _start_primary(spec: Spec, image: Image) -> Outcome:
    if is_standby():
        raise Problem(
            "%s holds data that comes back as a replica only: another run has fenced it. Look at the cluster again" % DATA
        )
    before = read_configuration()
    changed = bool(write_files(spec, image))
    changed = start_or_go_back(spec, image, before) or changed
    return finish(spec, image, changed)


def read_configuration() -> Dict[str, Optional[str]]:
    """{name: text} of the files that a step writes, None where there is none yet."""
    return {name: read_text("%s/%s" % (ETC, name)) for name in (CONF, HBA)}


def start_or_go_back(spec: Spec, image: Image, before: Dict[str, Optional[str]]) -> bool:
    """Starts the server with the files that were just written; where it does not come up with them, with those from
    `before` again, and raises Problem. Gives whether starting it took anything.

    A primary with the settings of yesterday serves everybody; one that is down serves nobody.
    """
    changed = ensure_container(spec, image)
    try:
        wait_until_ready(spec)
    except Problem as problem:
        if before == {CONF: spec.conf, HBA: spec.hba} or None in before.values():
            raise
        # First the end of the attempts: one that met the old configuration would come up in the middle of this, and
        # a server that has only begun to start does not hear the signal.
        run(["docker", "stop", "--time", str(GIVE_UP_SECONDS), spec.container], timeout=120)
        for name, text in before.items():
            write_text("%s/%s" % (ETC, name), text or "")
        ensure_container(spec, image)
        wait_until_ready(spec)
        raise Problem(
            "PostgreSQL on %s does not start with the new configuration; it runs with the old one again" % spec.node,
            problem.log,
        )
    return changed


def _start_replica(spec: Spec, image: Image, up: bool) -> Tuple[bool, Dict[str, int]]:
    """Gives whether anything changed, and what it was started with for now where the new settings are lower
    than what its primary last ran with.

    So it stands after a rollout that lowers settings and was interrupted: the primary is through, and the
    replica has yet to replay it.
    """
    floor: Dict[str, int] = {}
    if not up:
        raise_fence()
        floor = find_too_low(spec.conf, parse_control(read_text_of(image)))
        write_files(spec._replace(conf=raise_conf(spec.conf, floor)), image)
        ensure_container(spec, image)
        wait_until_ready(spec)
    with Session(spec.container) as session:
        changed = apply_files(spec, image, session) if up else True
        wait_until_streaming(spec, session, FOLLOW_SECONDS)
        return settle_replica(session) or changed, floor


def finish(spec: Spec, image: Image, changed: bool) -> Outcome:
    """Waits until the server does what its role is, and records what it runs."""
    wait_until_ready(spec)
    if not spec.is_primary:
        wait_until_streaming(spec)
    record = read_record() or {}
    changed = write_record(image, spec.image, record["locale"], record["systemIdentifier"]) or changed
    return Outcome(changed, spec.image, image.pinned)
