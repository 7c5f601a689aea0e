"""Starts a node that holds data, as the primary or as a replica."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .catch_up import follow_archive
from .check import find_fault
from .cipher import give_conf
from .clone import clone
from .command import Problem, run
from .container import STOP_SECONDS, read_image_label
from .control import read_text_of
from .docker import bring_back, inspect_container, remove_container
from .files import read_text, write_text
from .image import Image
from .layout import CONF, DATA, ETC, HBA
from .psql import Session, ask_once
from .record import choose_image, choose_recorded_image, is_standby, read_record, write_record
from .recovery import notes
from .reload import apply_files, settle_replica
from .sensitive import find_too_low, parse_control, raise_conf, wait_for_primary
from .server import (
    LOST,
    Ended,
    StillStarting,
    ensure_container,
    is_accepting,
    is_up,
    name_aside,
    read_role,
    require_role,
    stop,
    wait_until_ready,
    wait_until_streaming,
    write_files,
)
from .signals import raise_fence
from .spec import Outcome, Spec
from .spool import forget_fetched
from .volume import require_mounted
from .work import end_work, find_work

# How long a replica may neither receive nor replay anything before it is cloned.
FOLLOW_SECONDS = 30
# The same for one that takes WAL from the archive: pgBackRest itself tries for a minute (archive-timeout).
CATCH_UP_SECONDS = 180
# For a server that exits on every start: it has nothing to write, so it is killed soon.
KILL_SECONDS = 10

# The startup process has a wait event, as any session has: RecoveryConflict…, a lock, or a pinned buffer.
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
    """Starts the stopped server of a node that holds data, with the image it last ran. A new image is left to the restart
    step."""
    require_mounted(spec.cluster)
    record = read_record()
    spec = spec if record is None else spec._replace(image=record["image"])
    return start_server(spec, choose_image(spec))


def start_server(spec: Spec, image: Image) -> Outcome:
    """Starts the server as the step's primary or as a replica. Data that cannot follow the primary is replaced by a clone,
    and kept if it may hold rows that no other node has."""
    up = is_up(inspect_container(spec.container)) and comes_up(spec)
    if up:
        require_role(spec)
    if spec.is_primary:
        end_work(spec.cluster)
        return _start_primary(spec, image)
    # An earlier call found that this data cannot follow the primary. If its copy failed, that may have changed: a primary
    # that could not be reached answers again.
    work = find_work(spec.cluster)
    if not up and work is not None and work.state != "failed":
        return clone(spec, skip_wait=True)
    try:
        following = follow_archive(spec, up)
    except Problem as problem:
        return _clone_again(spec, problem)
    try:
        changed, floor = _start_replica(following, image, up, notes)
    except Problem as problem:
        if isinstance(problem, StillStarting) and LOST.search(problem.log) is None:
            raise
        # If the configuration is at fault, a clone would fail as well.
        if spec.source is None or find_fault(spec, image) is not None:
            raise
        conflict = _describe_conflict(spec)
        if conflict is not None:
            raise Problem(conflict, problem.log)
        if is_accepting() and read_role(spec) is None:
            raise Problem(
                "PostgreSQL on %s answers, but accepts no connection: all of them may be in use. End some of them, "
                "or raise max_connections, and run again; its data is left as it is" % spec.node,
                problem.log,
            )
        return _clone_again(spec, problem)
    if following.archived_until:
        _leave_archive(spec, image)
    if work is not None and work.state == "failed":
        end_work(spec.cluster)
    if floor:
        wait_for_primary(spec)
        stop(spec)
        write_files(spec, image)
        ensure_container(spec, image)
    return finish(spec, image, changed)


def _clone_again(spec: Spec, problem: Problem) -> Outcome:
    if spec.source is None:
        raise problem
    # In the notes of the call: the copy may outlast it, and the next call finds the copy, not the reason.
    notes.append("its own data did not follow %s (%s), so it was cloned again" % (spec.primary, problem.message))
    return clone(spec, skip_wait=True)


def _leave_archive(spec: Spec, image: Image) -> None:
    """Gives a replica that streams the configuration without the archive."""
    with Session(spec.container) as session:
        apply_files(spec, image, session)
    forget_fetched()
    notes.append(
        "%s took from the archive what %s no longer had, and streams again without a clone" % (spec.node, spec.primary)
    )


def comes_up(spec: Spec) -> bool:
    """Waits for the server of a running container and returns whether it accepts connections. A server that ends on every
    start is stopped here, so that Docker does not restart it."""
    try:
        wait_until_ready(spec)
    except Ended:
        _stop_attempts(spec, KILL_SECONDS)
        return False
    return True


def _stop_attempts(spec: Spec, seconds: int) -> None:
    """Ends Docker's attempts to start a server that does not come up. A server at the very beginning of its start ignores
    the signal, and is killed after `seconds`."""
    command = ["docker", "stop", "--time", str(seconds), spec.container]
    # The container does not exist if Docker could not start it.
    run(command, check=False, timeout=120)


def _describe_conflict(spec: Spec) -> Optional[str]:
    """Explains that replay on a replica waits for queries there (PostgreSQL manual, 26.4.2 "Handling Query Conflicts");
    None if it does not. Such a replica is not cloned: that would end the queries, and its data is intact."""
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
            "%s holds data that starts as a replica only: another run has fenced it. Run again to observe the cluster" % DATA
        )
    before = read_configuration()
    changed = bool(write_files(spec, image))
    changed = start_or_roll_back(spec, image, before) or changed
    return finish(spec, image, changed)


def read_configuration() -> Dict[str, Optional[str]]:
    """Returns {name: text} of the files that a step writes; None for a missing file."""
    return {name: read_text("%s/%s" % (ETC, name)) for name in (CONF, HBA)}


def start_or_roll_back(spec: Spec, image: Image, before: Dict[str, Optional[str]]) -> bool:
    """Starts the server with the files that were just written and with `image`; returns whether it was started.

    If it ends instead, restores the files of `before`, its former image and its container's options, starts it with these
    and raises Problem: the old configuration serves clients, a primary that is down does not. A server that is still
    starting is left alone.
    """
    try:
        changed = ensure_container(spec, image, keep=True)
        # A later call would not know what to restore, so this one waits until it is known whether it must.
        is_new = before != {CONF: spec.conf, HBA: spec.hba} or inspect_container(name_aside(spec)) is not None
        wait_until_ready(spec._replace(deadline=None) if is_new else spec)
        return changed
    except StillStarting:
        raise
    except Problem as problem:
        attempt = problem
    aside = inspect_container(name_aside(spec))
    changes = []
    if None not in before.values() and before != {CONF: spec.conf, HBA: spec.hba}:
        changes.append("the new configuration")
    if _read_former_digest(aside) != image.pinned:
        changes.append("image %s" % spec.image)
    elif aside is not None:
        changes.append("the new options of its container")
    if not changes:
        raise attempt
    # Before the files are restored: an attempt with the old ones would come up in the middle of this.
    _stop_attempts(spec, KILL_SECONDS if isinstance(attempt, Ended) else STOP_SECONDS)
    for name, text in before.items():
        if text is not None:
            write_text("%s/%s" % (ETC, name), text)
    failure = "PostgreSQL on %s does not start with %s" % (spec.node, " and ".join(changes))
    try:
        if aside is None:
            ensure_container(spec, choose_recorded_image(spec))
        else:
            # The old container itself: a new one might have other options.
            bring_back(name_aside(spec), spec.container)
            former = read_image_label(aside)
            if former is not None:
                give_conf(former.owner)
            run(["docker", "start", spec.container], timeout=120)
        wait_until_ready(spec)
    except Problem as problem:
        message = "%s. Its previous state was restored, but: %s" % (failure, problem.message)
        raise type(problem)(message, "%s\n%s" % (attempt.log, problem.log))
    raise Problem("%s; it runs with the old %s again" % (failure, "one" if len(changes) == 1 else "ones"), attempt.log)


def _read_former_digest(aside: Optional[Dict[str, Any]]) -> str:
    """Returns the image that the server last ran: that of the container that was set aside, else the recorded one."""
    image = None if aside is None else read_image_label(aside)
    return (read_record() or {})["digest"] if image is None else image.pinned


def _start_replica(spec: Spec, image: Image, up: bool, notes: List[str]) -> Tuple[bool, Dict[str, int]]:
    """Starts a replica. Returns whether anything changed, and the settings that it was started with for now because the new
    ones are lower than its primary's were at its last replay; adds to `notes`.

    That happens if a rollout that lowers settings was interrupted: the primary was restarted, and the replica has not
    replayed that yet.
    """
    floor: Dict[str, int] = {}
    if not up:
        raise_fence()
        floor = find_too_low(spec.conf, parse_control(read_text_of(image)))
        # A later call would not know that the settings are to be lowered again.
        spec = spec._replace(deadline=None) if floor else spec
        write_files(spec._replace(conf=raise_conf(spec.conf, floor)), image)
        ensure_container(spec, image)
        wait_until_ready(spec)
    with Session(spec.container) as session:
        changed = apply_files(spec, image, session) if up else True
        wait_until_streaming(spec, session, CATCH_UP_SECONDS if spec.archived_until else FOLLOW_SECONDS)
        return settle_replica(session, notes) or changed, floor


def finish(spec: Spec, image: Image, changed: bool) -> Outcome:
    """Waits until the server is ready in its role, and records its image. A replica must also catch up with what its primary
    had written: the next node is restarted only while this one could take over."""
    wait_until_ready(spec)
    if not spec.is_primary:
        try:
            wait_until_streaming(spec, catch_up=True)
        except Problem as problem:
            conflict = None if isinstance(problem, StillStarting) else _describe_conflict(spec)
            if conflict is None:
                raise
            raise Problem(conflict, problem.log)
    remove_container(name_aside(spec))
    record = read_record() or {}
    changed = write_record(image, spec.image, record["locale"], record["systemIdentifier"]) or changed
    return Outcome(changed, spec.image, image.pinned)
