"""Starting a node that holds data, as the primary or as its replica."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .check import find_fault
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
from .volume import require_mounted

# How long a replica may go without receiving anything or getting on with what it has, before it is cloned.
FOLLOW_SECONDS = 30
# A server that ends whenever it starts has nothing to write.
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
    up = is_up(inspect_container(spec.container)) and comes_up(spec)
    if up:
        require_role(spec)
    if spec.is_primary:
        return _start_primary(spec, image)
    notes: List[str] = []
    try:
        changed, floor = _start_replica(spec, image, up, notes)
    except Problem as problem:
        if isinstance(problem, StillStarting) and LOST.search(problem.log) is None:
            raise
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
        outcome = clone(spec, is_judged=True)
        note = "its own data did not follow %s (%s), so it was cloned again" % (spec.primary, problem.message)
        return outcome._replace(notes=[note, *outcome.notes])
    if floor:
        wait_for_primary(spec)
        stop(spec)
        write_files(spec, image)
        ensure_container(spec, image)
    return finish(spec, image, changed)._replace(notes=notes)


def comes_up(spec: Spec) -> bool:
    """Whether a container that was found up has its server come up. One that ends is between two attempts, and stands
    still after this."""
    try:
        wait_until_ready(spec)
    except Ended:
        _give_up(spec, GIVE_UP_SECONDS)
        return False
    return True


def _give_up(spec: Spec, seconds: int) -> None:
    """Ends the attempts to start a server that does not come up. One that has only begun to start does not hear the
    signal, and is killed after `seconds`."""
    command = ["docker", "stop", "--time", str(seconds), spec.container]
    # There may be no container, where Docker could not start it.
    run(command, check=False, timeout=120)


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
    """Starts the server with the files that were just written and with `image`; where it ends instead, with what it had:
    the files of `before`, its image, and its container's options. Raises Problem then. Gives whether starting it took
    anything.

    A primary as it was yesterday serves everybody; one that is down serves nobody. One that is still starting is left
    to it.
    """
    try:
        changed = ensure_container(spec, image, keep=True)
        wait_until_ready(spec)
        return changed
    except StillStarting:
        raise
    except Problem as problem:
        attempt = problem
    aside = inspect_container(name_aside(spec))
    news = []
    if None not in before.values() and before != {CONF: spec.conf, HBA: spec.hba}:
        news.append("the new configuration")
    if _read_former_digest(aside) != image.pinned:
        news.append("image %s" % spec.image)
    elif aside is not None:
        news.append("the new options of its container")
    if not news:
        raise attempt
    # First the end of the attempts: one that met the old configuration would come up in the middle of this.
    _give_up(spec, GIVE_UP_SECONDS if isinstance(attempt, Ended) else STOP_SECONDS)
    for name, text in before.items():
        if text is not None:
            write_text("%s/%s" % (ETC, name), text)
    said = "PostgreSQL on %s does not start with %s" % (spec.node, " and ".join(news))
    try:
        if aside is None:
            ensure_container(spec, choose_recorded_image(spec))
        else:
            # As it was: what would be made today may differ in its options.
            bring_back(name_aside(spec), spec.container)
            run(["docker", "start", spec.container], timeout=120)
        wait_until_ready(spec)
    except Problem as problem:
        message = "%s. What it had is in place again, but: %s" % (said, problem.message)
        raise type(problem)(message, "%s\n%s" % (attempt.log, problem.log))
    raise Problem("%s; it runs with the old %s again" % (said, "one" if len(news) == 1 else "ones"), attempt.log)


def _read_former_digest(aside: Optional[Dict[str, Any]]) -> str:
    """The image that the server last came up with: that of the container which was set aside, else the recorded one."""
    image = None if aside is None else read_image_label(aside)
    return (read_record() or {})["digest"] if image is None else image.pinned


def _start_replica(spec: Spec, image: Image, up: bool, notes: List[str]) -> Tuple[bool, Dict[str, int]]:
    """Gives whether anything changed, and what it was started with for now where the new settings are lower
    than what its primary last ran with; adds to `notes`.

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
        return settle_replica(session, notes) or changed, floor


def finish(spec: Spec, image: Image, changed: bool) -> Outcome:
    """Waits until the server does what its role is, and records what it runs. A replica has caught up by then with
    what its primary had written, so that the next node is restarted only while this one could take over."""
    wait_until_ready(spec)
    if not spec.is_primary:
        try:
            wait_until_streaming(spec, catch_up=True)
        except Problem as problem:
            waits = None if isinstance(problem, StillStarting) else _describe_conflict(spec)
            if waits is None:
                raise
            raise Problem(waits, problem.log)
    remove_container(name_aside(spec))
    record = read_record() or {}
    changed = write_record(image, spec.image, record["locale"], record["systemIdentifier"]) or changed
    return Outcome(changed, spec.image, image.pinned)
