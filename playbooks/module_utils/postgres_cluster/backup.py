"""Makes a backup at once: orders it from the node's unit, or goes on with the one that runs there."""

from __future__ import annotations

import time
import uuid
from typing import Any, Dict, List, Optional

from . import backup_unit
from .archive_push import is_archiving
from .backup_due import FULL
from .backup_program import CUT
from .backup_state import ORDER, WATCHED, is_active, read_state, service_name, write_order, write_watched
from .command import Pending, Problem, run
from .files import read_json, remove_file
from .server import read_role
from .spec import Outcome, Spec, has_waiting_run

# The end of a run that is older than this is nobody's any more: a run that watches notices it within seconds, or once a
# silent node answers again.
WATCHED_SECONDS = 900
# In one call. A second start is needed if the unit was about to end; a further one if it ends before it reads its order.
MAX_STARTS = 15


def backup(spec: Spec, kind: str) -> Outcome:
    """Makes a backup of that kind, full or incremental, and returns when it is in the repository.

    A run of the timer is adopted if it is of that kind, or full; otherwise its end is waited for first. Raises Pending if the
    work goes on after `spec.deadline`. A later call finds it by what this one has written down.
    """
    unit = service_name(spec.cluster)
    require_ready(spec)
    drop_stale(spec.cluster)
    pause, starts = 0.05, 0
    while True:
        # In this order: the program writes its end before the unit ends.
        is_unit_active = is_active(spec.cluster)
        watched, state = read_json(WATCHED), read_state(spec.cluster)
        running, last = state.get("running"), state.get("last")
        if watched is not None and is_watched(last, watched):
            remove_file(WATCHED)
            return collect(spec, last)
        if not is_unit_active:
            starts += 1
            if starts > MAX_STARTS:
                raise Problem("%s on %s does not start: see `journalctl -u %s`" % (unit, spec.node, unit))
            start(spec, kind, watched)
        elif watched is None and running is not None and suits(running["type"], kind):
            write_watched({"started": running["started"]})
        if spec.deadline is not None and time.monotonic() > spec.deadline:
            raise Pending()
        if has_waiting_run():
            if spec.deadline is not None:
                raise Pending()
            raise Problem("another run came to work on %s, so this one stopped waiting; the backup goes on" % spec.node)
        time.sleep(pause)
        pause = min(pause * 1.5, 1)


def require_ready(spec: Spec) -> None:
    """Raises Problem unless this node can make a backup."""
    role = read_role(spec)
    if role != "primary":
        found = "is a replica" if role == "replica" else "does not answer"
        raise Problem("PostgreSQL on %s %s, and backups are made on the primary. Look at the cluster again" % (spec.node, found))
    if not is_archiving() or not backup_unit.is_installed(spec.cluster):
        raise Problem("%s does not archive into a repository yet, so no backup can be made. Deploy: that begins it" % spec.node)


def start(spec: Spec, kind: str, watched: Optional[Dict[str, Any]]) -> None:
    """Orders the backup if nothing was ordered yet, and starts the unit. Raises Problem if a run that was watched is gone."""
    if watched is None:
        order = {"id": uuid.uuid4().hex, "type": kind}
        write_watched({"order": order["id"]})
        write_order(order)
    elif not is_ordered(watched):
        remove_file(WATCHED)
        raise Problem("the backup on %s has no end: %s. Run this again" % (spec.node, CUT))
    # The order is still there if a run of the timer was about to end when it was given.
    run(["systemctl", "start", "--no-block", service_name(spec.cluster)], timeout=60)


def drop_stale(cluster: str) -> None:
    """Forgets what an earlier deploy watched, unless it goes on or has just ended."""
    watched, state = read_json(WATCHED), read_state(cluster)
    if watched is None:
        return
    last, running = state.get("last"), state.get("running")
    if is_watched(last, watched):
        is_stale = abs(time.time() - last["ended"]) > WATCHED_SECONDS
    elif is_active(cluster):
        is_stale = running is not None and not is_watched(running, watched)
    else:
        is_stale = not is_ordered(watched)
    if is_stale:
        remove_file(WATCHED)


def is_ordered(watched: Dict[str, Any]) -> bool:
    """Whether no run has taken the order yet."""
    return "order" in watched and (read_json(ORDER) or {}).get("id") == watched["order"]


def is_watched(one: Optional[Dict[str, Any]], watched: Dict[str, Any]) -> bool:
    """Whether a run is the one that was adopted or ordered."""
    if one is None:
        return False
    key = "order" if "order" in watched else "started"
    return one.get(key) == watched[key]


def suits(found: str, wanted: str) -> bool:
    """Whether a backup of one type serves who wants the other."""
    return found in (wanted, FULL)


def collect(spec: Spec, last: Dict[str, Any]) -> Outcome:
    """Returns the outcome of a run that has ended. Raises Problem if it failed."""
    if last["problem"] is not None:
        raise Problem("the backup on %s failed: %s" % (spec.node, last["problem"]), last.get("log") or "")
    notes: List[str] = [] if last.get("note") is None else ["the backup on %s was made, but %s" % (spec.node, last["note"])]
    return Outcome(True, notes=notes)
