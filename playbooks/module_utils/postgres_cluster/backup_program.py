"""The program of the backup unit: makes a backup if one is due, on the node whose server is the primary.

A timer starts it on every node, so a switchover, a missed run and a failed one need nothing special: what is due follows from
what the repository holds. Nothing that a killed run leaves blocks the next one. The locks are gone with the processes, and
pgBackRest resumes a full backup or removes what is left of it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from typing import Any, Dict, List, NoReturn, Optional

from .archive_push import SEGMENT, find_closed, forget_dropped, is_archiving, name_dropped, read_dropped
from .archive_size import measure_archive
from .backrest_errors import explain_failure
from .backup_due import FULL, Attempt, Backup, due, parse_schedule
from .backup_layout import BACKREST_CONF, BACKUP_JSON
from .backup_run import BackupRun, is_primary, list_arguments, read_start
from .backup_state import LOCK, read_state, take_order, write_state
from .command import Problem
from .files import read_json, read_text
from .layout import ETC, container_name
from .psql import ask_once
from .repository import annotate_gap, keep_own, read_repository
from .worker import RUN, write_progress

CUT = "it was cut short: the node was restarted, or the unit was killed"
# As JSON, the segment of the last byte that the server wrote. After a switch, the next byte is the first of a segment: from 17
# on, PostgreSQL names that one, with which a backup may start. Then the backup would not count as having closed the gap.
WRITTEN = "SELECT to_json(pg_walfile_name(pg_current_wal_lsn() - 1))"
STOPPED = "it was ended, because its unit was stopped or the node was shut down"
SERVER_STOPPED = "it was ended, because the PostgreSQL server was stopped or restarted"


class Stopped(Exception):
    """The unit is to end."""


def main() -> None:
    """Makes a backup of the cluster that the argument names, if one is due or ordered. Exit code 1 if that fails."""
    cluster = sys.argv[1]
    if not os.path.isdir(RUN):
        os.mkdir(RUN, 0o755)
    with open(LOCK, "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run of this program goes on")
            return
        signal.signal(signal.SIGTERM, _stop)
        try:
            problem = make_backup(cluster, take_order())
        except Stopped:
            problem = STOPPED
    if problem is not None:
        print(problem, file=sys.stderr)
        sys.exit(1)


def _stop(*_: Any) -> NoReturn:
    # Once: cleaning up must not be interrupted.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


def make_backup(cluster: str, order: Optional[Dict[str, Any]]) -> Optional[str]:
    """Makes what is due or ordered; returns why that failed, or None. The end of a run, and of anything that was ordered, is
    in the state."""
    state = read_state(cluster)
    if state.get("running") is not None:
        record(state, state["running"], {"problem": CUT, "cut": True})
    started = int(time.time())
    wanted = {"type": FULL if order is None else order["type"], "started": started, "order": order and order.get("id")}
    try:
        obstacle = find_obstacle(cluster)
        if obstacle is not None:
            if order is None:
                print(obstacle)
                return None
            raise Problem(obstacle)
        backups = read_backups(cluster)
        has_gap = settle_gap(cluster, backups)
        schedule = parse_schedule(read_json("%s/%s" % (ETC, BACKUP_JSON)))
        if schedule is None:
            raise Problem("%s/%s holds no schedule. Deploy: that writes it" % (ETC, BACKUP_JSON))
        kind = due(started, backups, schedule, has_gap, find_attempt(state), order and order["type"])
    except Problem as problem:
        if order is not None:
            record(state, wanted, {"problem": problem.message, "log": problem.log, "cut": False})
        return problem.message
    except Stopped:
        if order is not None:
            record(state, wanted, {"problem": STOPPED, "cut": True})
        raise
    if kind is None:
        print("no backup is due")
        return None
    wanted = {**wanted, "type": kind, "closesGap": kind == FULL and bool(backups) and has_gap}
    return perform(cluster, state, wanted, backups)


def find_obstacle(cluster: str) -> Optional[str]:
    """Returns why this node makes no backup; None if it does."""
    # Without its volume, the node has no such file.
    if not is_archiving():
        return "this node does not archive"
    return None if is_primary(cluster) else "no PostgreSQL server runs here as the primary"


def read_backups(cluster: str) -> List[Backup]:
    """Returns the backups of this cluster's history in the repository. Raises Problem if it cannot be read."""
    found = read_repository(cluster)
    if found["problem"] is not None:
        raise Problem("the backups cannot be read: %s" % found["problem"])
    names = ("started", "startWal", "label", "missingSince", "ended")
    return [Backup(one["type"] == "full", *(one[name] for name in names)) for one in keep_own(found["backups"])]


def explain(backup: BackupRun, code: int) -> str:
    """Returns why pgBackRest failed, in a sentence."""
    return explain_failure(code, backup.log, read_text("%s/%s" % (ETC, BACKREST_CONF)) or "")


def settle_gap(cluster: str, backups: List[Backup]) -> bool:
    """Forgets dropped WAL that no full backup needs any more, and returns whether some is left."""
    dropped = read_dropped()
    if dropped is None:
        return False
    if dropped["last"] is None:
        segment = ask_once(container_name(cluster), WRITTEN)
        if not isinstance(segment, str) or not SEGMENT.fullmatch(segment):
            raise Problem("PostgreSQL does not say which WAL segment it writes to")
        name_dropped(segment)
    fulls = [backup for backup in backups if backup.is_full]
    if not fulls:
        return True
    close_gap(cluster, fulls, backups)
    return read_dropped(max(full.wal for full in fulls)) is not None


def close_gap(cluster: str, fulls: List[Backup], backups: List[Backup]) -> None:
    """Moves what is noted about WAL before these full backups into the repository: the backup that closed a gap says since when
    WAL is missing; if nobody knows that, since the end of the last one before it of `backups`. What cannot be moved stays
    noted, and the next run tries again."""
    known = {full.wal: full for full in fulls}
    try:
        for wal, since in find_closed(list(known)).items():
            full = known[wal]
            start = since or max((one.ended for one in backups if one.ended < full.started), default=full.started)
            if full.missing_since is None or start < full.missing_since:
                annotate_gap(cluster, full.label, start)
    except Problem as problem:
        print(problem.message, file=sys.stderr)
        return
    forget_dropped(max(known))


def find_attempt(state: Dict[str, Any]) -> Optional[Attempt]:
    """Returns the last run as due() takes it."""
    last = state.get("last")
    if last is None:
        return None
    # A run that was cut has closed no gap, so the pause after one that did is not for the next.
    closed_gap = bool(last.get("closesGap")) and last["problem"] is None
    return Attempt(last["started"], last["ended"], state.get("failures") or 0, closed_gap)


def perform(cluster: str, state: Dict[str, Any], wanted: Dict[str, Any], backups: List[Backup]) -> Optional[str]:
    """Makes a backup after these `backups` and records its end; returns why it failed, or None."""
    state["running"] = wanted
    write_state(state)
    started = wanted["started"]
    write_progress("backup", "backup", 0, None, started, detached=True)
    start = read_start(cluster)
    backup = BackupRun(list_arguments(cluster, wanted["type"]))
    is_stopped = False
    try:
        while True:
            code = backup.wait(1)
            if code is not None:
                break
            write_progress("backup", "backup", backup.done, backup.total, started, detached=True)
    except Stopped:
        backup.stop()
        code, is_stopped = 1, True
    end: Dict[str, Any] = {"problem": None, "label": backup.label, "cut": False}
    if not backup.is_complete:
        # A server that was stopped and started again is no failure of the backup, which begins again.
        is_cut = is_stopped or read_start(cluster) != start
        reason = STOPPED if is_stopped else SERVER_STOPPED if is_cut else explain(backup, code)
        end.update(problem=reason, log=backup.log.strip(), cut=is_cut)
    elif code != 0 and not is_stopped:
        end["note"] = "what has expired could not be removed: %s" % explain(backup, code)
    record(state, wanted, end)
    done = backup.total if backup.is_complete and backup.total is not None else backup.done
    write_progress("backup", "backup", done, backup.total, started, working=False, detached=True)
    if end["problem"] is None and wanted["type"] == FULL:
        if backup.wal is not None and backup.label is not None:
            close_gap(cluster, [Backup(True, started, backup.wal, backup.label)], backups)
    if end["problem"] is None and not is_stopped:
        measure(cluster, state, backup.label)
    return end["problem"]


def measure(cluster: str, state: Dict[str, Any], label: Optional[str]) -> None:
    """Writes down how much WAL is archived after this backup and what it let expire. It has succeeded, whatever happens."""
    try:
        size = measure_archive(cluster)
    except Stopped:
        return
    state["wal"] = None if size is None else {"bytes": size, "label": label}
    write_state(state)


def record(state: Dict[str, Any], wanted: Dict[str, Any], end: Dict[str, Any]) -> None:
    """Writes how a run ended. What was cut counts as no failure: the next run begins at once."""
    last = {**wanted, **end, "ended": int(time.time())}
    state.update(running=None, last=last)
    if last["problem"] is None:
        state.update(succeeded=last, failures=0)
    elif not last["cut"]:
        state["failures"] = (state.get("failures") or 0) + 1
    write_state(state)


if __name__ == "__main__":
    main()
