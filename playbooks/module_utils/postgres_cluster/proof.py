"""The proof that replication works: a value written on the primary is read on every replica."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

from .archive_push import is_archiving, is_dropped
from .archive_wait import describe_stall, switch_segment, wait_until_archived
from .archiver import ARCHIVER
from .canary import list_canary
from .command import Problem
from .layout import ROOT, container_name
from .lsn import parse_lsn
from .psql import OWN_DATABASE, Session, ensure_database, reset_database, quote
from .spec import slot_name
from .storage import measure
from .verification import read_verification

# How long a replica may stall before it has the value. A replica that is catching up has no limit.
STALL_SECONDS = 30.0
POLL_SECONDS = 0.05
NO_VALUE = "the value written on the primary has not arrived"

CREATE = """
CREATE SCHEMA IF NOT EXISTS postgres_cluster;
CREATE TABLE IF NOT EXISTS postgres_cluster.proof (
  one boolean PRIMARY KEY DEFAULT true CHECK (one), token text NOT NULL, written timestamptz NOT NULL)
"""
# Null without a table. The database is the action's own, but a superuser may have admitted other roles, and a view or
# trigger of theirs would run as the reader. So the bootstrap superuser (10, BOOTSTRAP_SUPERUSERID) must own the table.
FIND_TABLE = """
SELECT coalesce((
  SELECT to_json(c.relkind = 'r' AND c.relowner = 10 AND n.nspowner = 10)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'postgres_cluster' AND c.relname = 'proof'), 'null')
"""
# The table has one row: a proof leaves only its latest token.
WRITE = """
INSERT INTO postgres_cluster.proof (token, written) VALUES (%s, now())
ON CONFLICT (one) DO UPDATE SET token = excluded.token, written = excluded.written
"""

PRIMARY_STATUS = """
SELECT json_build_object(
  'inRecovery', pg_is_in_recovery(),
  'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
  'timeline', ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,
  'lsn', pg_current_wal_lsn())
"""
REPLICA_STATUS = """
SELECT json_build_object(
  'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
  'timeline', (SELECT received_tli FROM pg_stat_wal_receiver),
  'lsn', pg_last_wal_replay_lsn(),
  'state', coalesce((SELECT status FROM pg_stat_wal_receiver), 'not connected'),
  'slot', (SELECT slot_name FROM pg_stat_wal_receiver),
  -- latest_end_lsn: the end of the primary's WAL, as the sender last reported it.
  'lagBytes', (
    SELECT greatest(0, pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()))::bigint
    FROM pg_stat_wal_receiver),
  'lagSeconds', CASE WHEN pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() THEN 0
    ELSE round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::numeric, 3) END,
  'replayPaused', pg_get_wal_replay_pause_state() <> 'not paused')
"""
# The replicas that follow the primary, with positions in bytes.
FOLLOWERS = """
SELECT coalesce(json_object_agg(application_name, json_build_object(
  'state', state, 'replayed', coalesce(pg_wal_lsn_diff(replay_lsn, '0/0'), 0)::bigint)
  -- The last row of a name counts: there are two while the primary has not noticed a lost connection.
  ORDER BY replay_lsn NULLS FIRST), '{}')
FROM pg_stat_replication
"""
# A replica's position, and `end`: the end of the primary's WAL, as the sender last reported it.
POSITION = """
SELECT json_build_object(
  'replayed', coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)::bigint,
  'end', (SELECT pg_wal_lsn_diff(latest_end_lsn, '0/0')::bigint FROM pg_stat_wal_receiver))
"""
READ = "SELECT coalesce(json_agg(token), '[]') FROM postgres_cluster.proof"


def prove(options: Dict[str, Any]) -> Dict[str, Any]:
    """Runs this node's part of the proof, on all nodes at the same time. `options`: name, address, cluster, primary
    (name), token, replicas (names), lists_canary (whether the primary says what a rehearsal compares). Returns the node's line; its `problem` is None if the proof holds. A replica that is
    catching up is waited for; one that stalls for 30 s is a problem. With backups the primary also waits until its WAL is
    archived."""
    is_primary = options["name"] == options["primary"]
    line: Dict[str, Any] = {
        "name": options["name"],
        "role": "primary" if is_primary else "replica",
        "address": options["address"],
        "state": "not running",
        "timeline": None,
        "lsn": None,
        "lagBytes": None,
        "lagSeconds": None,
        "replayPaused": False,
        "tokenRead": False,
        "slot": None,
        "systemIdentifier": None,
        "archiver": None,
        "archivedWal": None,
        "canary": None,
        "verification": read_verification() if is_primary else None,
        "storage": _measure_space(),
        "problem": None,
    }
    try:
        with _open_session(container_name(options["cluster"]), is_primary) as session:
            (_prove_primary if is_primary else _prove_replica)(session, options, line)
            line["archiver"] = session.ask("SELECT coalesce(%s, 'null')" % ARCHIVER)
    except Problem as problem:
        line["problem"] = problem.message if not problem.log else "%s: %s" % (problem.message, problem.log)
    return line


def _measure_space() -> Optional[Dict[str, int]]:
    """Returns capacity and use of the data volume in bytes; None if it is not mounted or its device is not known."""
    found = measure(ROOT)
    return None if found is None else {key: found[key] for key in ("capacityBytes", "usedBytes")}


def _open_session(container: str, is_primary: bool) -> Session:
    """Opens a session in the action's own database. The primary creates it if it is missing, a replica waits until it has
    replayed that. After a timeout, or if the node has the other role, the session is in another database."""
    deadline = time.monotonic() + STALL_SECONDS
    while True:
        session = Session(container)
        if session.database == OWN_DATABASE or time.monotonic() > deadline:
            return session
        if session.ask("SELECT to_json(pg_is_in_recovery())") == is_primary:
            return session
        if is_primary:
            ensure_database(session)
        session.close()
        reset_database()
        time.sleep(POLL_SECONDS)


def has_table(session: Session) -> bool:
    """Whether the table of the proof exists. Raises Problem if another role owns a table of that name."""
    found = session.ask(FIND_TABLE)
    if found is False:
        raise Problem(
            "postgres_cluster.proof in database postgres_cluster is not the table that this action makes: another role "
            "owns it or its schema, so it is neither read nor written. Find out who created it, drop it (DROP SCHEMA "
            "postgres_cluster CASCADE), and run again"
        )
    return found is True


def _prove_primary(session: Session, options: Dict[str, Any], line: Dict[str, Any]) -> None:
    if session.ask("SELECT to_json(pg_is_in_recovery())"):
        line["state"] = "in recovery"
        line["problem"] = "%s is in recovery, so it is not the primary" % options["name"]
        return
    if not has_table(session):
        session.execute(CREATE)
        has_table(session)
    session.execute(WRITE % quote(options["token"]))
    line["state"] = "running"
    line["tokenRead"] = session.ask(READ) == [options["token"]]
    if options.get("lists_canary"):
        line["canary"] = {"token": options["token"], **list_canary(session)}
        # A later commit: recovery up to the canary ends there, and need not look for one to the end of the archive.
        session.execute(WRITE % quote(options["token"]))
    written = session.ask("SELECT to_json(pg_current_wal_lsn())")
    expected = {slot_name(name): name for name in options["replicas"]}
    missing = _wait_for_replicas(session, parse_lsn(written), expected)
    line.update({key: value for key, value in session.ask(PRIMARY_STATUS).items() if key != "inRecovery"})
    if missing:
        line["problem"] = "not replayed by %s" % ", ".join(missing)
    elif is_archiving():
        _prove_archive(session, options, line)


def _prove_archive(session: Session, options: Dict[str, Any], line: Dict[str, Any]) -> None:
    """Waits until the archive of the backups has the segment with the value that was just written."""
    name = switch_segment(session)
    if not wait_until_archived(name):
        line["problem"] = describe_stall(options["cluster"], container_name(options["cluster"]), name)
    elif is_dropped(name):
        line["problem"] = (
            "pgBackRest dropped %s, as the archive of the backups had not answered for so long that its queue was full. A full "
            "backup is due once it answers" % name
        )
    else:
        line["archivedWal"] = name


class Progress:
    """Whether a position advances. Only a new maximum counts."""

    def __init__(self) -> None:
        self.reached = 0
        self._advanced = time.monotonic()

    def update(self, position: int) -> None:
        """Notes the current position."""
        if position > self.reached:
            self.reached, self._advanced = position, time.monotonic()

    @property
    def is_stalled(self) -> bool:
        """Whether it has not advanced for STALL_SECONDS."""
        return time.monotonic() > self._advanced + STALL_SECONDS

    def describe(self, end: int) -> str:
        """Says how far it is from `end`, and whether it advances."""
        return "%d bytes behind, and is %s" % (max(0, end - self.reached), "stalled" if self.is_stalled else "catching up")


def _wait_for_replicas(session: Session, written: int, expected: Dict[str, str]) -> List[str]:
    """Waits until all replicas stream and have replayed `written`, or one has stalled for STALL_SECONDS. Returns those that
    have not, e.g. `node-3 (streaming, 4096 bytes behind, and is stalled)`. `expected`: {slot: name}."""
    progress = {slot: Progress() for slot in expected}
    while True:
        followers = session.ask(FOLLOWERS)
        missing = []
        for slot in sorted(expected):
            found = followers.get(slot, {"state": "not connected", "replayed": 0})
            # A busy primary writes for ever: what comes after `written` is no progress.
            progress[slot].update(min(found["replayed"], written))
            if found["state"] != "streaming" or found["replayed"] < written:
                missing.append((slot, found["state"]))
        if not missing or any(progress[slot].is_stalled for slot, _ in missing):
            return [_describe_follower(expected[slot], state, progress[slot], written) for slot, state in missing]
        time.sleep(POLL_SECONDS)


def _describe_follower(name: str, state: str, progress: Progress, written: int) -> str:
    # The primary does not know the position of a replica that is not connected.
    if state == "not connected":
        return "%s (not connected)" % name
    return "%s (%s, %s)" % (name, state, progress.describe(written))


def _prove_replica(session: Session, options: Dict[str, Any], line: Dict[str, Any]) -> None:
    if not session.ask("SELECT to_json(pg_is_in_recovery())"):
        line["state"] = "not in recovery"
        line["problem"] = "%s accepts writes of its own beside the primary %s" % (options["name"], options["primary"])
        return
    progress = Progress()
    # The primary writes the value at the same time, at the latest within this time.
    grace = time.monotonic() + STALL_SECONDS
    end: Optional[int] = None
    while True:
        # Before the table is read: WAL that is replayed after this query may hold the value.
        position = session.ask(POSITION)
        progress.update(position["replayed"])
        if time.monotonic() > grace and end is None:
            end = position["end"]
        # At the first proof of a cluster the table may not be replayed yet.
        tokens = session.ask(READ) if has_table(session) else []
        line["tokenRead"] = tokens == [options["token"]]
        line.update(session.ask(REPLICA_STATUS))
        line["problem"] = _find_replica_problem(line)
        if line["problem"] is None:
            return
        if time.monotonic() > grace and not _is_catching_up(line, progress, end):
            if line["problem"] == NO_VALUE and position["end"] is not None:
                line["problem"] += ": it is %s" % progress.describe(position["end"])
            return
        time.sleep(POLL_SECONDS)


def _is_catching_up(line: Dict[str, Any], progress: Progress, end: Optional[int]) -> bool:
    """Whether to wait after STALL_SECONDS: for a replica that streams and has not reached `end`, or that replays local WAL
    before it connects. A paused replay or a wrong slot does not change by itself."""
    if line["replayPaused"] or progress.is_stalled:
        return False
    if line["state"] != "streaming":
        return True
    return line["slot"] == slot_name(line["name"]) and end is not None and progress.reached < end


def _find_replica_problem(line: Dict[str, Any]) -> Optional[str]:
    """Returns why a replica does not replicate: it must stream, replay, and have the value. An open port proves nothing, as
    a replica whose settings are below its primary's accepts connections with replay paused (PostgreSQL manual, 26.4.3)."""
    if line["state"] != "streaming":
        return "its WAL receiver is %s" % line["state"]
    if line["replayPaused"]:
        return "replay is paused: a setting may be lower than the primary's"
    if line["slot"] != slot_name(line["name"]):
        return "it follows over slot %s instead of its own" % line["slot"]
    if not line["tokenRead"]:
        return NO_VALUE
    return None
