"""The proof that replication works: a value written on the primary is read on every replica."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

from .archiver import ARCHIVER
from .command import Problem
from .control import parse_lsn
from .layout import container_name
from .psql import OWN_DATABASE, Session, ensure_database, look_for_database, quote
from .spec import slot_name

# How long a replica may stand still before it has the value. One that catches up is waited for.
SECONDS = 30.0
PAUSE = 0.05
NO_VALUE = "the value written on the primary has not arrived"

CREATE = """
CREATE SCHEMA IF NOT EXISTS postgres_cluster;
CREATE TABLE IF NOT EXISTS postgres_cluster.proof (
  one boolean PRIMARY KEY DEFAULT true CHECK (one), token text NOT NULL, written timestamptz NOT NULL)
"""
# Null without a table. The database is the action's own, but a superuser may have let others in, and what a view or a
# trigger of theirs calls runs as the reader: only what the first superuser (10, BOOTSTRAP_SUPERUSERID) owns is ours.
FIND_TABLE = """
SELECT coalesce((
  SELECT to_json(c.relkind = 'r' AND c.relowner = 10 AND n.nspowner = 10)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'postgres_cluster' AND c.relname = 'proof'), 'null')
"""
# One row for ever: a proof leaves nothing behind but its latest token.
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
  -- latest_end_lsn is the end of the primary's WAL as the sender last told it.
  'lagBytes', (
    SELECT greatest(0, pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()))::bigint
    FROM pg_stat_wal_receiver),
  'lagSeconds', CASE WHEN pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() THEN 0
    ELSE round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::numeric, 3) END,
  'replayPaused', pg_get_wal_replay_pause_state() <> 'not paused')
"""
# What the primary knows of the replicas that follow it. Positions as numbers of bytes.
FOLLOWERS = """
SELECT coalesce(json_object_agg(application_name, json_build_object(
  'state', state, 'replayed', coalesce(pg_wal_lsn_diff(replay_lsn, '0/0'), 0)::bigint)
  -- Of two with one name, one of which is gone and not yet noticed, the last one counts.
  ORDER BY replay_lsn NULLS FIRST), '{}')
FROM pg_stat_replication
"""
# The same on a replica, and `end`, where the primary's WAL ended as the sender last told it.
PROGRESS = """
SELECT json_build_object(
  'replayed', coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)::bigint,
  'end', (SELECT pg_wal_lsn_diff(latest_end_lsn, '0/0')::bigint FROM pg_stat_wal_receiver))
"""
READ = "SELECT coalesce(json_agg(token), '[]') FROM postgres_cluster.proof"


def prove(options: Dict[str, Any]) -> Dict[str, Any]:
    """Takes part in the proof, on all nodes at the same time. `options`: name, address, cluster, primary (name),
    token, replicas (names). Gives the node's line of it; `problem` is None when all held. A replica that catches up is
    waited for; one that stands still for 30 s is not."""
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
        "problem": None,
    }
    try:
        with _open_session(container_name(options["cluster"]), is_primary) as session:
            (_prove_primary if is_primary else _prove_replica)(session, options, line)
            line["archiver"] = session.ask("SELECT coalesce(%s, 'null')" % ARCHIVER)
    except Problem as problem:
        line["problem"] = problem.message if not problem.log else "%s: %s" % (problem.message, problem.log)
    return line


def _open_session(container: str, is_primary: bool) -> Session:
    """A session in the action's own database: the primary makes it where it is missing, a replica waits until it has
    replayed that. In another database where it does not come to that, or the node is not what it is to be."""
    deadline = time.monotonic() + SECONDS
    while True:
        session = Session(container)
        if session.database == OWN_DATABASE or time.monotonic() > deadline:
            return session
        if session.ask("SELECT to_json(pg_is_in_recovery())") == is_primary:
            return session
        if is_primary:
            ensure_database(session)
        session.close()
        look_for_database()
        time.sleep(PAUSE)


def _has_table(session: Session) -> bool:
    """Whether the table of the proof is there. Raises Problem where somebody else's stands in its place."""
    found = session.ask(FIND_TABLE)
    if found is False:
        raise Problem(
            "postgres_cluster.proof in database postgres_cluster is not the table that this action makes: another role "
            "owns it or its schema, so it is neither read nor written. Find out who made it, drop it (DROP SCHEMA "
            "postgres_cluster CASCADE), and run again"
        )
    return found is True


def _prove_primary(session: Session, options: Dict[str, Any], line: Dict[str, Any]) -> None:
    if session.ask("SELECT to_json(pg_is_in_recovery())"):
        line["state"] = "in recovery"
        line["problem"] = "%s is in recovery, so it is not the primary" % options["name"]
        return
    if not _has_table(session):
        session.execute(CREATE)
        _has_table(session)
    session.execute(WRITE % quote(options["token"]))
    line["state"] = "running"
    line["tokenRead"] = session.ask(READ) == [options["token"]]
    written = session.ask("SELECT to_json(pg_current_wal_lsn())")
    expected = {slot_name(name): name for name in options["replicas"]}
    missing = _wait_for_replicas(session, parse_lsn(written), expected)
    line.update({key: value for key, value in session.ask(PRIMARY_STATUS).items() if key != "inRecovery"})
    if missing:
        line["problem"] = "not replayed by %s" % ", ".join(missing)


class Climb:
    """Whether a position gets on. Only what it never was at before counts."""

    def __init__(self) -> None:
        self.reached = 0
        self._moved = time.monotonic()

    def take(self, position: int) -> None:
        """Notes where it is now."""
        if position > self.reached:
            self.reached, self._moved = position, time.monotonic()

    @property
    def stands(self) -> bool:
        """Whether it has stood still for SECONDS."""
        return time.monotonic() > self._moved + SECONDS

    def describe(self, end: int) -> str:
        """How far it is from `end`, and whether it gets on."""
        how = "stands still" if self.stands else "is catching up"
        return "%d bytes behind, and %s" % (max(0, end - self.reached), how)


def _wait_for_replicas(session: Session, written: int, expected: Dict[str, str]) -> List[str]:
    """The replicas that do not stream or have not replayed `written`, with what they lack, once one of them has stood
    still for SECONDS: {slot: name} → `node-3 (4096 bytes behind, and stands still)`."""
    climbs = {slot: Climb() for slot in expected}
    while True:
        followers = session.ask(FOLLOWERS)
        missing = []
        for slot in sorted(expected):
            found = followers.get(slot, {"state": "not connected", "replayed": 0})
            # A busy primary goes on for ever.
            climbs[slot].take(min(found["replayed"], written))
            if found["state"] != "streaming" or found["replayed"] < written:
                missing.append((slot, found["state"]))
        if not missing or any(climbs[slot].stands for slot, _ in missing):
            return [_describe_follower(expected[slot], state, climbs[slot], written) for slot, state in missing]
        time.sleep(PAUSE)


def _describe_follower(name: str, state: str, climb: Climb, written: int) -> str:
    # Nothing is known of how far one is that does not follow.
    if state == "not connected":
        return "%s (not connected)" % name
    return "%s (%s, %s)" % (name, state, climb.describe(written))


def _prove_replica(session: Session, options: Dict[str, Any], line: Dict[str, Any]) -> None:
    if not session.ask("SELECT to_json(pg_is_in_recovery())"):
        line["state"] = "not in recovery"
        line["problem"] = "%s accepts writes of its own beside the primary %s" % (options["name"], options["primary"])
        return
    climb = Climb()
    # The primary writes the value while this looks, at the latest by the time that nothing else is waited for.
    grace = time.monotonic() + SECONDS
    end: Optional[int] = None
    while True:
        # First: what is replayed after it does not count as without the value.
        progress = session.ask(PROGRESS)
        climb.take(progress["replayed"])
        if time.monotonic() > grace and end is None:
            end = progress["end"]
        # The table is younger than the replica at the very first proof.
        tokens = session.ask(READ) if _has_table(session) else []
        line["tokenRead"] = tokens == [options["token"]]
        line.update(session.ask(REPLICA_STATUS))
        line["problem"] = _find_replica_problem(line)
        if line["problem"] is None:
            return
        if time.monotonic() > grace and not _catches_up(line, climb, end):
            if line["problem"] == NO_VALUE and progress["end"] is not None:
                line["problem"] += ": it is %s" % climb.describe(progress["end"])
            return
        time.sleep(PAUSE)


def _catches_up(line: Dict[str, Any], climb: Climb, end: Optional[int]) -> bool:
    """Whether there is anything to wait for after SECONDS: a replica that streams and has not reached `end`, or one that
    goes through what it has before it connects. One that follows otherwise than it should will not change by itself."""
    if line["replayPaused"] or climb.stands:
        return False
    if line["state"] != "streaming":
        return True
    return line["slot"] == slot_name(line["name"]) and end is not None and climb.reached < end


def _find_replica_problem(line: Dict[str, Any]) -> Optional[str]:
    """Trap 23: an open port proves nothing. Streaming, replaying, and the value there."""
    if line["state"] != "streaming":
        return "its WAL receiver is %s" % line["state"]
    if line["replayPaused"]:
        return "replay is paused: a setting may be lower than the primary's"
    if line["slot"] != slot_name(line["name"]):
        return "it follows over slot %s instead of its own" % line["slot"]
    if not line["tokenRead"]:
        return NO_VALUE
    return None
