"""Admits replicas on the primary: their role, slots and addresses."""

from __future__ import annotations

import time
from typing import List

from .command import Problem
from .image import ensure_image
from .layout import REPLICATION_USER, SUPERUSER
from .psql import Session, ensure_database, quote
from .record import read_record
from .reload import apply_files
from .scram import make_verifier, matches
from .server import wait_until_ready
from .spec import Outcome, Spec


def admit(spec: Spec, slots: List[str], retired_slots: List[str]) -> Outcome:
    """Creates everything that a clone needs on the primary: the action's database, roles and passwords, a slot for each
    replica, and pg_hba.conf. Drops the slots of nodes that have left."""
    record = read_record()
    if record is None:
        raise Problem("%s has no complete data; it cannot admit replicas" % spec.node)
    image, _ = ensure_image(record["digest"])
    wait_until_ready(spec)
    notes: List[str] = []
    with Session(spec.container) as session:
        if session.ask("SELECT to_json(pg_is_in_recovery())"):
            raise Problem("%s is in recovery, so it is not the primary; look at the cluster again" % spec.node)
        changed = ensure_database(session)
        changed = set_passwords(session, spec) or changed
        changed = ensure_slots(session, slots) or changed
        for slot in retired_slots:
            dropped, note = drop_slot(session, slot)
            changed = dropped or changed
            notes += note
        changed = apply_files(spec, image, session) or changed
    return Outcome(changed, record["image"], image.pinned, notes)


def set_passwords(session: Session, spec: Spec) -> bool:
    """Creates or alters both roles with the given passwords. Returns whether anything changed.

    The server gets verifiers only, and only if the existing one does not match the password.
    """
    changed = False
    for role, password, attributes in (
        (SUPERUSER, spec.superuser_password, "LOGIN SUPERUSER"),
        (REPLICATION_USER, spec.replication_password, "LOGIN REPLICATION"),
    ):
        if password is None:
            continue
        found = session.execute("SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolname = %s" % quote(role))
        if found and matches(password, found[0]):
            continue
        verb = "ALTER" if found else "CREATE"
        session.execute("%s ROLE %s %s PASSWORD %s" % (verb, role, attributes, quote(make_verifier(password))))
        changed = True
    return changed


def ensure_slots(session: Session, slots: List[str]) -> bool:
    """Creates the missing physical slots, which retain WAL from now on. Returns whether anything changed.

    A slot whose WAL is lost is recreated, and its replica has to be cloned.
    """
    changed = False
    present = session.ask("SELECT coalesce(json_object_agg(slot_name, wal_status), '{}') FROM pg_replication_slots")
    for slot in slots:
        if slot in present and present[slot] != "lost":
            continue
        if slot in present:
            session.execute("SELECT pg_drop_replication_slot(%s)" % quote(slot))
        session.execute("SELECT pg_create_physical_replication_slot(%s, true)" % quote(slot))
        changed = True
    return changed


def drop_slot(session: Session, slot: str, seconds: float = 10) -> "tuple[bool, List[str]]":
    """Drops the slot of a node that has left, which would retain WAL forever. Returns whether it did, and notes.

    The node may have vanished without closing its connection, so the primary's backend is terminated first.
    """
    deadline = time.monotonic() + seconds
    while True:
        active = session.ask(
            "SELECT coalesce(json_agg(active_pid), '[]') FROM pg_replication_slots WHERE slot_name = %s" % quote(slot)
        )
        if not active:
            return False, []
        if active[0] is None:
            session.execute("SELECT pg_drop_replication_slot(%s)" % quote(slot))
            return True, []
        if time.monotonic() > deadline:
            return False, ["slot %s is still in use, so it was not dropped; the next run tries again" % slot]
        session.execute("SELECT pg_terminate_backend(%d)" % active[0])
        time.sleep(0.2)
