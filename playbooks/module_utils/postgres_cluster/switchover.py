"""The planned change of the primary: both nodes check, both hand over, and the old primary becomes a replica.

No committed row is lost: the new primary is promoted only once it has replayed the shutdown checkpoint, the last record
that the old one wrote. There are never two primaries: the old one is fenced before it is stopped. Writes pause from
that stop to the promotion, so all other work is done before or after.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import Any, Dict, List, Optional

from .admit import ensure_slots
from .archive_inherit import inherit_told, settle_inheritance
from .archive_push import read_dropped
from .archive_status import find_first_waiting
from .archive_stop import hold_archiving, interrupt_push
from .archive_wait import empty_queue
from .command import Problem, run
from .container import STOP_SECONDS
from .control import Control, parse_position, read_head, read_text_of
from .docker import inspect_container, stop_container
from .expiry import hold_expiry
from .handover import choose_port, receive_end, send_end, signal_readiness, wait_for_successor
from .image import Image
from .long_transactions import refuse_long_transactions
from .lsn import format_lsn, parse_lsn
from .psql import Session, quote
from .promote import promote_server
from .record import choose_recorded_image, read_record
from .logical_slots import find_movable
from .reload import apply_files
from .restart import check_configuration
from .server import (
    PORT,
    ensure_container,
    is_accepting,
    is_following,
    is_up,
    read_replication,
    read_role,
    wait_until_ready,
    write_files,
)
from .signals import lift_fence, raise_fence
from .spec import Outcome, Spec, slot_name

# Limits the replay that is left for the write pause.
LAG_BYTES = 16 * 1024 * 1024
LAG_SECONDS = 30.0
REPLAY_SECONDS = 60.0
# A server may still wait for replicas after its data is complete on disk. It is killed after this time.
EXIT_SECONDS = 10.0
# The same for a push to the archive that began just before archiving was held.
PUSH_SECONDS = 0.05

FIND_LAG = """
SELECT coalesce(json_agg(pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, '0/0'))::bigint), '[]')
FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'
"""
READ_OWN_CONTROL = """
SELECT json_build_object(
  'identifier', (SELECT system_identifier::text FROM pg_control_system()),
  'checkpoint', checkpoint_lsn, 'timeline', timeline_id)
FROM pg_control_checkpoint()
"""


def check_switchover(spec: Spec, slots: List[str], other: str, may_lose: bool, holds_expiry: bool = False) -> Outcome:
    """Before the write pause, on both nodes: raises Problem if the switchover cannot be done, and does what can be done in
    advance. `other`: the address of the other node; `may_lose`: consumers' slots may be lost; `holds_expiry`: the backup
    settings of the new primary are not the cluster's. Returns the fact `role`, the node's present role, and from the primary
    `movable_slots`, which the other must have copies of."""
    if spec.is_primary:
        return _check_successor(spec, slots, other, holds_expiry)
    role = read_role(spec)
    movable: List[str] = []
    notes: List[str] = []
    if role == "primary":
        with Session(spec.container) as session:
            notes = empty_queue(session, spec)
            movable = find_movable(session, spec, may_lose)
            refuse_long_transactions(session, spec)
            _wait_for_lag(session, spec, patient=True)
            session.execute("CHECKPOINT")
    return Outcome(False, notes=notes, facts={"role": role, "movable_slots": movable})


def _check_successor(spec: Spec, slots: List[str], other: str, holds_expiry: bool) -> Outcome:
    role = read_role(spec)
    if role is None:
        raise Problem("PostgreSQL on %s does not answer, so it cannot become the primary" % spec.node)
    if role == "primary":
        return Outcome(False, facts={"role": role})
    choose_recorded_image(spec)
    check_configuration(spec)
    with Session(spec.container) as session:
        following = spec._replace(primary_address=other)
        deadline = time.monotonic() + LAG_SECONDS
        while not is_following(following, read_replication(spec, session)):
            if time.monotonic() > deadline:
                raise Problem(
                    "%s does not receive and replay the changes of its primary (%s), so it cannot take over; "
                    "nothing was stopped" % (spec.node, other)
                )
            time.sleep(0.1)
        # Before the hand-over, so that WAL which the other replicas may still need is retained from now on.
        changed = ensure_slots(session, slots)
        session.execute("CHECKPOINT")
    notes = hold_expiry() if holds_expiry else []
    return Outcome(changed, notes=notes, facts={"role": role, "nonce": uuid.uuid4().hex, "port": choose_port()})


def _wait_for_lag(session: Session, spec: Spec, patient: bool = False) -> None:
    """Waits until the new primary's lag is at most LAG_BYTES. `patient`: without a limit while the lag shrinks."""
    assert spec.primary is not None
    question = FIND_LAG % quote(slot_name(spec.primary))
    deadline = time.monotonic() + LAG_SECONDS
    least: Optional[int] = None
    while True:
        lag = session.ask(question)
        if lag and lag[0] <= LAG_BYTES:
            return
        if patient and lag and (least is None or lag[0] < least):
            least = lag[0]
            deadline = time.monotonic() + LAG_SECONDS
        if time.monotonic() > deadline:
            found = "%d MiB behind" % (lag[0] // (1024 * 1024)) if lag else "not streaming"
            waited = "came no nearer within" if lag and patient else "waited for"
            raise Problem(
                "%s is %s (%s %d s), so it cannot take over from %s; nothing was stopped"
                % (spec.primary, found, waited, LAG_SECONDS, spec.node)
            )
        time.sleep(0.1)


def hand_over(spec: Spec, slots: List[str], other: str, rendezvous: Dict[str, Any]) -> Outcome:
    """On both nodes at the same time: the old primary is fenced and stopped, and the new one is promoted once it has
    replayed everything. `rendezvous`: `nonce` and `port` from the new primary's check.

    An error is returned as the fact `problem`, not raised, as the other node's state then decides what to do. On the new
    primary the fact `promoted` is True, False (certainly not), or None (unknown).
    """
    if spec.is_primary:
        return _promote_successor(spec, slots, other, rendezvous)
    try:
        problem = _stop_old_primary(spec, other, rendezvous)
    except Problem as caught:
        problem = " ".join([caught.message, caught.log]).strip()
    return Outcome(True, facts={"problem": problem})


def _stop_old_primary(spec: Spec, other: str, rendezvous: Dict[str, Any]) -> Optional[str]:
    """Fences and stops the old primary and sends the end of its WAL. Returns what went wrong, if anything."""
    image = choose_recorded_image(spec)
    container = inspect_container(spec.container)
    if not is_up(container):
        return "PostgreSQL on %s ended before it was stopped" % spec.node
    assert container is not None
    with Session(spec.container) as session:
        session.execute("CHECKPOINT")
        if not wait_for_successor(other, int(rendezvous["port"])):
            return "%s did not get ready to take over; nothing was stopped" % spec.primary
        _wait_for_lag(session, spec)
        readable = _is_readable(session)
    # The new primary archives the rest, and writes pause no longer than without an archive.
    hold_archiving(spec.container)
    raise_fence()
    stopping = threading.Thread(target=_stop_quietly, args=(spec.container, STOP_SECONDS), daemon=True)
    stopping.start()
    end = _await_end(spec, image, int(container["State"]["Pid"]), stopping if not readable else None)
    archive = {"unarchived": find_first_waiting(), "dropped": read_dropped()}
    is_sent = send_end(other, {"nonce": rendezvous["nonce"], **archive, **end})
    # By now Docker has finished the stop.
    stopping.join(STOP_SECONDS)
    if end["state"] != "shut down":
        return "PostgreSQL on %s did not shut down cleanly: %s" % (spec.node, end["state"])
    return None if is_sent else "%s did not ask where the changes of %s end" % (spec.primary, spec.node)


def _is_readable(session: Session) -> bool:
    """Whether this module parses the control file correctly, compared with what the server itself reads from it."""
    own = session.ask(READ_OWN_CONTROL)
    head = read_head()
    return head == Control(int(own["identifier"]), "in production", parse_lsn(own["checkpoint"]), int(own["timeline"]))


def _await_end(spec: Spec, image: Image, pid: int, stopping: Optional[threading.Thread]) -> Dict[str, Any]:
    """Waits until the server has exited and returns its last state: {"state", "timeline", "lsn"}, where `lsn` is the start
    of the shutdown checkpoint's record. With `stopping` it also waits for Docker to finish: then the control file must be
    read by a container."""
    complete_since: Optional[float] = None
    interrupted = False
    deadline = time.monotonic() + STOP_SECONDS + EXIT_SECONDS
    while os.path.exists("/proc/%d" % pid):
        if time.monotonic() > deadline:
            raise Problem("PostgreSQL on %s did not end within %d s after it was stopped" % (spec.node, STOP_SECONDS))
        head = read_head() if stopping is None else None
        if head is not None and head.state == "shut down":
            # Only the archiver is left, and WAL senders whose replicas do not answer.
            complete_since = complete_since or time.monotonic()
            if not interrupted and time.monotonic() > complete_since + PUSH_SECONDS:
                interrupted = True
                interrupt_push(pid)
            if time.monotonic() > complete_since + EXIT_SECONDS:
                run(["docker", "kill", spec.container], check=False, timeout=60)
        time.sleep(0.003)
    head = read_head()
    if head is None or stopping is not None:
        if stopping is not None:
            stopping.join(STOP_SECONDS)
        return parse_position(read_text_of(image))
    return {"state": head.state, "timeline": head.timeline, "lsn": format_lsn(head.checkpoint)}


def _stop_quietly(container: str, seconds: int) -> None:
    # A failure shows when the server does not exit.
    try:
        stop_container(container, seconds)
    except Problem:
        pass


def _promote_successor(spec: Spec, slots: List[str], other: str, rendezvous: Dict[str, Any]) -> Outcome:
    """Promotes this node once it has replayed the old primary's shutdown checkpoint."""
    promoted: Optional[bool] = False
    try:
        with Session(spec.container) as session:
            if not signal_readiness(other, int(rendezvous["port"])):
                raise Problem("%s cannot connect to port %d of the old primary (%s)" % (spec.node, PORT, other))
            end = receive_end(other, rendezvous["nonce"], lambda: is_receiving(session))
            if end is None:
                raise Problem("the node of the old primary (%s) did not say where its changes end" % other)
            if end["state"] != "shut down":
                raise Problem("the old primary did not shut down cleanly: %s" % end["state"])
            _wait_for_replay(session, spec, end["lsn"])
            inherited = inherit_told(end["unarchived"], end["dropped"])
            promoted = None
            promote_server(session, spec.node)
            promoted = True
            # After the promotion: these files differ only in what a primary does not use.
            image = choose_recorded_image(spec)
            apply_files(spec, image, session)
            ensure_slots(session, slots)
        notes = settle_inheritance(inherited, spec.cluster)
    except (Problem, OSError) as caught:
        words = [caught.message, caught.log] if isinstance(caught, Problem) else [str(caught)]
        return Outcome(promoted is not False, facts={"promoted": promoted, "problem": " ".join(words).strip()})
    record = read_record() or {}
    facts = {"promoted": True, "problem": None}
    return Outcome(True, record["image"], image.pinned, notes, facts)


def is_receiving(session: Session) -> bool:
    """Whether this replica receives changes."""
    return bool(session.ask("SELECT to_json(exists(SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'))"))


def _wait_for_replay(session: Session, spec: Spec, lsn: str) -> None:
    """Waits until replay is past `lsn`, the start of the shutdown checkpoint: it is the last record, so nothing is missing
    then."""
    question = "SELECT to_json(coalesce(pg_last_wal_replay_lsn() > %s::pg_lsn, false))" % quote(lsn)
    deadline = time.monotonic() + REPLAY_SECONDS
    while not session.ask(question):
        if time.monotonic() > deadline:
            raise Problem(
                "%s has not replayed the old primary's last record at %s after %d s" % (spec.node, lsn, REPLAY_SECONDS)
            )
        time.sleep(0.003)


def take_back(spec: Spec) -> Outcome:
    """On the old primary, if the new one was certainly not promoted: starts it as the primary again, with its previous
    configuration."""
    record = read_record()
    if record is None:
        raise Problem("%s has no complete data; it cannot be the primary again" % spec.node)
    image = choose_recorded_image(spec)
    changed = lift_fence()
    # A stop may still be in progress, and a start during it would have no effect.
    deadline = time.monotonic() + STOP_SECONDS
    while is_up(inspect_container(spec.container)) and not is_accepting() and time.monotonic() < deadline:
        time.sleep(0.1)
    changed = ensure_container(spec, image) or changed
    wait_until_ready(spec)
    return Outcome(changed, record["image"], image.pinned)


def settle(spec: Spec) -> Outcome:
    """On the old primary, if it is stopped: writes the configuration of the replica that it is now."""
    record = read_record()
    if record is None or read_role(spec) is not None:
        return Outcome(False)
    image = choose_recorded_image(spec)
    return Outcome(bool(write_files(spec, image)))
