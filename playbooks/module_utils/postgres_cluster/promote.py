"""Promotes a replica to primary."""

from __future__ import annotations

import time
from typing import List

from .admit import ensure_slots
from .archive_inherit import inherit_unknown, settle_inheritance
from .command import Problem, run
from .control import read_text_of
from .docker import inspect_container
from .expiry import hold_expiry
from .psql import Session, psql_arguments
from .record import choose_recorded_image, read_record
from .reload import apply_files
from .sensitive import find_too_low, parse_control, raise_conf
from .server import ensure_container, is_up, wait_until_ready, write_files
from .signals import lift_fence
from .spec import Outcome, Spec
from .volume import require_mounted

# How long replay may stall. A promoted replica first replays everything that it has received.
PROMOTE_SECONDS = 60
IS_PROMOTED = "SELECT json_build_array(pg_is_in_recovery(), pg_last_wal_replay_lsn())"


def promote(spec: Spec, slots: List[str], holds_expiry: bool = False) -> Outcome:
    """Makes the node the primary of a cluster without one. It is a running replica, or is stopped with a replica's data.

    The caller ensures that no other node is a primary or can become one: this function does not check the others.
    `holds_expiry`: its backup settings are not the cluster's.
    """
    require_mounted(spec.cluster)
    image = choose_recorded_image(spec)
    changed = False
    if not is_up(inspect_container(spec.container)):
        # It needs the settings of its former primary, as last replayed, until it is promoted.
        floor = find_too_low(spec.conf, parse_control(read_text_of(image)))
        write_files(spec._replace(conf=raise_conf(spec.conf, floor)), image)
        changed = ensure_container(spec, image)
    wait_until_ready(spec)
    inherited = None
    notes: List[str] = []
    with Session(spec.container) as session:
        if session.ask("SELECT to_json(pg_is_in_recovery())"):
            # Before it can make a backup.
            notes = hold_expiry() if holds_expiry else []
            inherited = inherit_unknown()
        changed = promote_server(session, spec.node) or changed
        changed = ensure_slots(session, slots) or changed
        changed = apply_files(spec, image, session) or changed
    changed = lift_fence() or changed
    begin_checkpoint(spec)
    notes += settle_inheritance(inherited, spec.cluster)
    return Outcome(changed, (read_record() or {})["image"], image.pinned, notes)


def begin_checkpoint(spec: Spec) -> None:
    """Starts an immediate checkpoint on the new primary. PostgreSQL spreads the one after a promotion over time. Until it is
    complete a crash recovers from before the promotion, and no replica's control file has the new timeline.

    It is not waited for: with synchronous commit, the replicas have yet to be told which node to follow.
    """
    command = ["--detach" if word == "-i" else word for word in psql_arguments(spec.container)]
    run([*command, "-c", "CHECKPOINT"], check=False, timeout=60)


def promote_server(session: Session, node: str) -> bool:
    """Promotes the server and waits until it has committed a write; returns whether it was a replica before.

    pg_promote itself would poll ten times a second, which is slow while writes are paused.
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
                "the primary when it has replayed the rest; see its log, and run again" % (node, lsn, PROMOTE_SECONDS)
            )
        time.sleep(0.005)
    # In a separate, committed transaction.
    session.execute("SELECT pg_current_xact_id()")
    return True
