"""Logical replication slots: those of the primary's consumers, and the copies that replicas keep of them since PostgreSQL
17 (manual, 47.2.3 "Replication Slot Synchronization")."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List

from .command import Problem
from .layout import DATA, FORMER_PRIMARY
from .psql import Session, quote
from .spec import Outcome, Spec

# An idle slot sync worker checks again after 30 s (MAX_SLOTSYNC_WORKER_NAPTIME_MS), a failed one is restarted after 10 s.
COPY_SECONDS = 60.0
# How many names a message lists.
MAX_NAMES = 10

# Works on 14 to 18: a column that a version lacks is missing from the row's JSON. An incomplete copy is temporary.
LIST = """
SELECT coalesce(json_agg(json_build_object(
  'name', slot_name, 'database', database, 'plugin', plugin, 'active', active,
  'failover', coalesce((details->>'failover')::boolean, false),
  'synced', coalesce((details->>'synced')::boolean, false),
  'invalid', coalesce(wal_status = 'lost', false) OR details->>'invalidation_reason' IS NOT NULL
    OR coalesce((details->>'conflicting')::boolean, false)) ORDER BY slot_name), '[]')
FROM (
  SELECT slot.*, to_jsonb(slot) AS details FROM pg_replication_slots AS slot
  WHERE slot_type = 'logical' AND NOT temporary) AS slots
"""


def mark_leftovers(slots: List[Dict[str, Any]], in_recovery: bool, version: int) -> List[Dict[str, Any]]:
    """Returns the slots of LIST, each with `leftover`: whether it was created while the node was the primary. A replica has
    no use for these, and they would retain WAL and dead rows for ever. `version`: server_version_num.

    A replica before 16 can have no other slots. Since 16 its clients may create some; slots that exist before it has
    streamed as a replica are not theirs.
    """
    marked = os.path.exists("%s/%s" % (DATA, FORMER_PRIMARY))
    may_drop = in_recovery and (marked or version < 160000)
    return [{**slot, "leftover": may_drop and not slot["synced"] and not slot["active"]} for slot in slots]


def drop_leftovers(session: Session) -> List[str]:
    """Drops the slots of a replica's time as the primary and returns their names. Call it before the mark is removed."""
    state = session.ask(
        "SELECT json_build_object('recovery', pg_is_in_recovery(), 'version', current_setting('server_version_num')::int)"
    )
    found = mark_leftovers(session.ask(LIST), state["recovery"], state["version"])
    names = [slot["name"] for slot in found if slot["leftover"]]
    for name in names:
        # Checked again in the same statement: never on a primary.
        session.execute("SELECT pg_drop_replication_slot(%s) WHERE pg_is_in_recovery()" % quote(name))
    return names


def describe_dropped(names: List[str]) -> List[str]:
    """Returns notes on slots that were dropped."""
    if not names:
        return []
    return [
        "logical slots of its time as the primary were dropped: %s. A consumer whose slot the primary does not have "
        "needs a new slot and a fresh copy" % list_names(names)
    ]


def find_movable(session: Session, spec: Spec, may_lose: bool) -> List[str]:
    """On the primary, before a switchover: returns the slots that the next primary must have copies of.

    Raises Problem if there are other valid slots, unless `may_lose`: they may have been created after the plan.
    """
    slots = [slot for slot in session.ask(LIST) if not slot["invalid"]]
    lost = [slot["name"] for slot in slots if not slot["failover"]]
    if lost and not may_lose:
        raise Problem(
            "%s has logical slots that %s has no copy of (%s), so their consumers would miss changes. Let replicas copy "
            "them (PostgreSQL 17 or later, failover = true), drop them, or put the label of allow-slot-loss-label on the "
            "pull request; then run again; nothing was stopped" % (spec.node, spec.primary, list_names(lost))
        )
    return [slot["name"] for slot in slots if slot["failover"]]


def wait_for_copies(spec: Spec, slots: List[str], may_lose: bool) -> Outcome:
    """On the next primary: waits until it has a complete copy of each slot, from which the consumers can continue.

    Raises Problem on a timeout, unless `may_lose`.
    """
    deadline = time.monotonic() + (0 if may_lose else COPY_SECONDS)
    with Session(spec.container) as session:
        while True:
            found = session.ask(LIST)
            ready = [slot["name"] for slot in found if slot["synced"] and not slot["invalid"]]
            missing = [name for name in slots if name not in ready]
            if not missing or time.monotonic() > deadline:
                break
            time.sleep(0.2)
    if not missing:
        return Outcome(False)
    if may_lose:
        return Outcome(False, notes=["it has no copy of the logical slots %s, which are lost" % list_names(missing)])
    own = [slot["name"] for slot in found if slot["name"] in missing and not slot["synced"]]
    hint = (
        "It has slots of its own by that name (%s), which must be dropped there first" % list_names(own)
        if own
        else "A copy is complete once the consumer has read on from where the replica began; the log of %s says what a "
        "copy waits for. Let the consumers run" % spec.node
    )
    raise Problem(
        "%s has no complete copy of the logical slots %s after %d s, so their consumers could not continue there. %s, and run "
        "again; or put the label of allow-slot-loss-label on the pull request; nothing was stopped"
        % (spec.node, list_names(missing), COPY_SECONDS, hint)
    )


def list_names(names: List[str]) -> str:
    """Returns the names in one line, at most MAX_NAMES of them."""
    rest = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (" and %d more" % rest if rest > 0 else "")
