"""Making a replica the primary."""

from __future__ import annotations

import time
from typing import List

from .admit import ensure_slots
from .command import Problem, run
from .control import read_text_of
from .docker import inspect_container
from .psql import Session, psql_arguments
from .record import choose_recorded_image, read_record
from .reload import apply_files
from .sensitive import find_too_low, parse_control, raise_conf
from .server import ensure_container, is_up, wait_until_ready, write_files
from .signals import lift_fence
from .spec import Outcome, Spec
from .volume import require_mounted

# How long replay may stand still: a replica replays all that it received before it is the primary.
PROMOTE_SECONDS = 60
IS_PROMOTED = "SELECT json_build_array(pg_is_in_recovery(), pg_last_wal_replay_lsn())"


def promote(spec: Spec, slots: List[str]) -> Outcome:
    """Makes the node the primary where there is none: it runs as a replica or stands still with a replica's data.

    Nothing here looks at the other nodes: that none of them is a primary, or can become one, is for the
    caller to see to.
    """
    require_mounted(spec.cluster)
    image = choose_recorded_image(spec)
    changed = False
    if not is_up(inspect_container(spec.container)):
        # What it last replayed of its primary's settings it needs once more, until it is the primary itself.
        floor = find_too_low(spec.conf, parse_control(read_text_of(image)))
        write_files(spec._replace(conf=raise_conf(spec.conf, floor)), image)
        changed = ensure_container(spec, image)
    wait_until_ready(spec)
    with Session(spec.container) as session:
        changed = promote_server(session, spec.node) or changed
        changed = ensure_slots(session, slots) or changed
        changed = apply_files(spec, image, session) or changed
    changed = lift_fence() or changed
    begin_checkpoint(spec)
    return Outcome(changed, (read_record() or {})["image"], image.pinned)


def begin_checkpoint(spec: Spec) -> None:
    """Has the new primary make a checkpoint at once. PostgreSQL takes its time over the one that follows a promotion, and
    until then a crash recovers from before it, and no replica's control file can say which timeline it is on.

    It is not waited for: where commits wait for replicas, these have yet to be told whom to follow.
    """
    command = ["--detach" if word == "-i" else word for word in psql_arguments(spec.container)]
    run([*command, "-c", "CHECKPOINT"], check=False, timeout=60)


def promote_server(session: Session, node: str) -> bool:
    """Promotes the server and returns when it has taken a write; gives whether it was a replica before.

    pg_promote's own waiting looks ten times a second, which is long while nobody can write.
    """
    if not session.ask("SELECT to_json(pg_is_in_recovery())"):
        return False
    session.execute("SELECT pg_promote(false)")
    reached, moved = None, time.monotonic()
    while True:
        recovers, lsn = session.ask(IS_PROMOTED)
        if not recovers:
            break
        if lsn != reached:
            reached, moved = lsn, time.monotonic()
        if time.monotonic() > moved + PROMOTE_SECONDS:
            raise Problem(
                "%s was promoted, but is still in recovery: it has replayed up to %s, and nothing more for %d s. It becomes "
                "the primary when it has replayed the rest; look at its log, and run again" % (node, lsn, PROMOTE_SECONDS)
            )
        time.sleep(0.005)
    # A transaction of its own, committed.
    session.execute("SELECT pg_current_xact_id()")
    return True
