"""The planned change of the primary, in four parts: both nodes check, both hand over, the old primary settles.

No committed row is lost, because the new primary is promoted only when it has replayed the shutdown checkpoint,
the last record that the old one wrote; and there are never two primaries, because the old one is fenced before
it stops. Writes pause from that stop to the promotion, so everything that can be done before or after it is.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import Any, Dict, List, Optional

from .admit import ensure_slots
from .command import Problem, run
from .container import STOP_SECONDS
from .control import Control, format_lsn, parse_lsn, parse_position, read_head, read_text_of
from .docker import inspect_container, stop_container
from .handover import ask, choose_port, hold, tell, wait_for_asker
from .image import Image
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

# What it must still replay, it replays while nobody can write.
LAG_BYTES = 16 * 1024 * 1024
LAG_SECONDS = 30.0
# A client that is in the middle of such a transaction loses it.
TRANSACTION_SECONDS = 60
REPLAY_SECONDS = 60.0
# Whom the server still waits for by then, has nothing to say about the data: it is whole on disk.
EXIT_SECONDS = 10.0

FIND_LONG_TRANSACTIONS = """
SELECT coalesce(json_agg(json_build_object(
  'pid', pid, 'seconds', extract(epoch FROM clock_timestamp() - xact_start)::bigint,
  'application', application_name, 'user', usename) ORDER BY xact_start), '[]')
FROM pg_stat_activity
WHERE xact_start < clock_timestamp() - make_interval(secs => %d)
  AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
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


def check_switchover(spec: Spec, slots: List[str], other: str, may_lose: bool) -> Outcome:
    """Before the pause, on both nodes: what speaks against it, and what can be done ahead. `other` is the
    address of the other node; `may_lose`: consumers' slots may be lost. Gives the fact `role`, what the node is now, and
    of the primary `movable_slots`, which the other must have copies of."""
    if spec.is_primary:
        return _check_successor(spec, slots, other)
    role = read_role(spec)
    movable: List[str] = []
    if role == "primary":
        with Session(spec.container) as session:
            movable = find_movable(session, spec, may_lose)
            _refuse_long_transactions(session, spec)
            _wait_for_lag(session, spec, patient=True)
            session.execute("CHECKPOINT")
    return Outcome(False, facts={"role": role, "movable_slots": movable})


def _check_successor(spec: Spec, slots: List[str], other: str) -> Outcome:
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
        # Ahead, so that the WAL which the others may still need is kept from now on.
        changed = ensure_slots(session, slots)
        session.execute("CHECKPOINT")
    return Outcome(changed, facts={"role": role, "nonce": uuid.uuid4().hex, "port": choose_port()})


def _refuse_long_transactions(session: Session, spec: Spec) -> None:
    found = session.ask(FIND_LONG_TRANSACTIONS % TRANSACTION_SECONDS)
    if not found:
        return
    shown = ", ".join(
        "process %d of %s (%s), %d s" % (item["pid"], item["user"], item["application"] or "no name", item["seconds"])
        for item in found[:5]
    )
    raise Problem(
        "%s has transactions open for more than %d s, which a switchover would cut off: %s. Let them end or end "
        "them with SELECT pg_terminate_backend(<process>), then run again; nothing was stopped"
        % (spec.node, TRANSACTION_SECONDS, shown)
    )


def _wait_for_lag(session: Session, spec: Spec, patient: bool = False) -> None:
    """Waits until the new primary replays within LAG_BYTES of this one. `patient`: for as long as it comes nearer."""
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


def hand_over(spec: Spec, slots: List[str], other: str, meeting: Dict[str, Any]) -> Outcome:
    """On both nodes at the same time: the old primary is fenced and stopped, the new one is promoted when it
    has the last byte. `meeting` holds what the new primary's check gave.

    What goes wrong is a fact, not a failure, as the other node must then be seen to: `problem` says it, and on
    the new primary `promoted` is True, False for certainly not, or None for not known.
    """
    if spec.is_primary:
        return _take_over(spec, slots, other, meeting)
    try:
        problem = _give_over(spec, other, meeting)
    except Problem as caught:
        problem = " ".join([caught.message, caught.log]).strip()
    return Outcome(True, facts={"problem": problem})


def _give_over(spec: Spec, other: str, meeting: Dict[str, Any]) -> Optional[str]:
    image = choose_recorded_image(spec)
    container = inspect_container(spec.container)
    if not is_up(container):
        return "PostgreSQL on %s ended before it was stopped" % spec.node
    assert container is not None
    with Session(spec.container) as session:
        session.execute("CHECKPOINT")
        if not wait_for_asker(other, int(meeting["port"])):
            return "%s did not get ready to take over; nothing was stopped" % spec.primary
        _wait_for_lag(session, spec)
        readable = _is_readable(session)
    raise_fence()
    stopping = threading.Thread(target=_stop_quietly, args=(spec.container, STOP_SECONDS), daemon=True)
    stopping.start()
    end = _await_end(spec, image, int(container["State"]["Pid"]), stopping if not readable else None)
    told = tell(other, {"nonce": meeting["nonce"], **end})
    # Docker winds up meanwhile.
    stopping.join(STOP_SECONDS)
    if end["state"] != "shut down":
        return "PostgreSQL on %s did not shut down cleanly: %s" % (spec.node, end["state"])
    return None if told else "%s did not ask where the changes of %s end" % (spec.primary, spec.node)


def _is_readable(session: Session) -> bool:
    """Whether the control file says to us what it says to the server."""
    said = session.ask(READ_OWN_CONTROL)
    head = read_head()
    return head == Control(
        int(said["identifier"]), "in production", parse_lsn(said["checkpoint"]), int(said["timeline"])
    )


def _await_end(spec: Spec, image: Image, pid: int, stopping: Optional[threading.Thread]) -> Dict[str, Any]:
    """Waits until the server has ended and gives its last state: {"state", "timeline", "lsn"}, the start of the
    shutdown checkpoint's record. Docker's own winding up is waited for only where the control file must be
    read by a container, with `stopping` then."""
    whole_since: Optional[float] = None
    deadline = time.monotonic() + STOP_SECONDS + EXIT_SECONDS
    while os.path.exists("/proc/%d" % pid):
        if time.monotonic() > deadline:
            raise Problem("PostgreSQL on %s did not end within %d s after it was stopped" % (spec.node, STOP_SECONDS))
        head = read_head() if stopping is None else None
        if head is not None and head.state == "shut down":
            # Left are senders whose replicas do not answer.
            whole_since = whole_since or time.monotonic()
            if time.monotonic() > whole_since + EXIT_SECONDS:
                run(["docker", "kill", spec.container], check=False, timeout=60)
        time.sleep(0.003)
    head = read_head()
    if head is None or stopping is not None:
        if stopping is not None:
            stopping.join(STOP_SECONDS)
        return parse_position(read_text_of(image))
    return {"state": head.state, "timeline": head.timeline, "lsn": format_lsn(head.checkpoint)}


def _stop_quietly(container: str, seconds: int) -> None:
    # Whether it worked shows in the server's end.
    try:
        stop_container(container, seconds)
    except Problem:
        pass


def _take_over(spec: Spec, slots: List[str], other: str, meeting: Dict[str, Any]) -> Outcome:
    promoted: Optional[bool] = False
    try:
        with Session(spec.container) as session:
            if not hold(other, int(meeting["port"])):
                raise Problem("%s cannot connect to port %d of the old primary (%s)" % (spec.node, PORT, other))
            end = ask(other, meeting["nonce"], lambda: is_receiving(session))
            if end is None:
                raise Problem("the node of the old primary (%s) did not say where its changes end" % other)
            if end["state"] != "shut down":
                raise Problem("the old primary did not shut down cleanly: %s" % end["state"])
            _wait_for_replay(session, spec, end["lsn"])
            promoted = None
            promote_server(session, spec.node)
            promoted = True
            # Files that differ in what a primary does not read need not delay the first write.
            image = choose_recorded_image(spec)
            apply_files(spec, image, session)
            ensure_slots(session, slots)
    except (Problem, OSError) as caught:
        words = [caught.message, caught.log] if isinstance(caught, Problem) else [str(caught)]
        return Outcome(promoted is not False, facts={"promoted": promoted, "problem": " ".join(words).strip()})
    record = read_record() or {}
    facts = {"promoted": True, "problem": None}
    return Outcome(True, record["image"], image.pinned, facts=facts)


def is_receiving(session: Session) -> bool:
    """Whether this replica is sent changes."""
    return bool(session.ask("SELECT to_json(exists(SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'))"))


def _wait_for_replay(session: Session, spec: Spec, lsn: str) -> None:
    """The shutdown checkpoint is the last record there is, so whoever is past its start has everything."""
    question = "SELECT to_json(coalesce(pg_last_wal_replay_lsn() > %s::pg_lsn, false))" % quote(lsn)
    deadline = time.monotonic() + REPLAY_SECONDS
    while not session.ask(question):
        if time.monotonic() > deadline:
            raise Problem(
                "%s has not replayed the old primary's last record at %s after %d s" % (spec.node, lsn, REPLAY_SECONDS)
            )
        time.sleep(0.003)


def take_back(spec: Spec) -> Outcome:
    """On the old primary, when the new one certainly was not promoted: has it be the primary again, with the
    configuration it had."""
    record = read_record()
    if record is None:
        raise Problem("%s has no complete data; it cannot be the primary again" % spec.node)
    image = choose_recorded_image(spec)
    changed = lift_fence()
    # An order to stop may still be on its way: a start meanwhile would be lost.
    deadline = time.monotonic() + STOP_SECONDS
    while is_up(inspect_container(spec.container)) and not is_accepting() and time.monotonic() < deadline:
        time.sleep(0.1)
    changed = ensure_container(spec, image) or changed
    wait_until_ready(spec)
    return Outcome(changed, record["image"], image.pinned)


def settle(spec: Spec) -> Outcome:
    """On the old primary, which stands still: the configuration of the replica that it is now."""
    record = read_record()
    if record is None or read_role(spec) is not None:
        return Outcome(False)
    image = choose_recorded_image(spec)
    return Outcome(bool(write_files(spec, image)))
