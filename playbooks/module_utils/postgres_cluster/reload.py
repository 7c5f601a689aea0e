"""Changing configuration that needs no restart."""

from __future__ import annotations

from typing import Dict, List, Optional

from .command import Problem
from .files import read_text, write_text
from .image import Image, ensure_image
from .layout import CONF, ETC, HBA
from .logical_slots import describe_dropped, drop_leftovers
from .psql import Session, quote
from .record import read_record
from .server import find_unread, require_role, wait_until_ready, wait_until_streaming, write_files
from .signals import lift_fence, remove_mark
from .spec import Outcome, Spec

# Trap 26: a value that waits for a restart is reported as an error too; those are the restart step's.
FIND_ERRORS = """
SELECT coalesce(json_agg(format('%s line %s: %s %s', f.sourcefile, f.sourceline, f.name, f.error)), '[]')
FROM pg_file_settings f LEFT JOIN pg_settings s USING (name)
WHERE f.error IS NOT NULL AND coalesce(s.context, '') <> 'postmaster'
"""
FIND_HBA_ERRORS = """
SELECT coalesce(json_agg(format('pg_hba.conf line %s: %s', line_number, error)), '[]')
FROM pg_hba_file_rules WHERE error IS NOT NULL
"""

FIND_OWN_SLOTS = """
SELECT coalesce(json_agg(slot_name), '[]') FROM pg_replication_slots
WHERE slot_type = 'physical' AND NOT temporary AND NOT active AND slot_name ~ '^node_[0-9]+$'
"""

# A restartpoint, that is: it writes into the control file which timeline the replica is on.
IS_CHECKPOINT_OLD = """
SELECT to_json(coalesce(
  (SELECT timeline_id FROM pg_control_checkpoint()) < (SELECT received_tli FROM pg_stat_wal_receiver), false))
"""


def reload(spec: Spec) -> Outcome:
    """Writes the configuration and has the server read it.

    A replica that is told to follow another node does so before this ends, and keeps no slots from its time
    as primary: they would hold WAL for ever. A primary is no longer fenced from an interrupted switchover.
    """
    record = read_record()
    if record is None:
        raise Problem("%s has no complete data; there is nothing to reload" % spec.node)
    image, _ = ensure_image(record["digest"])
    wait_until_ready(spec)
    notes: List[str] = []
    with Session(spec.container) as session:
        role = "replica" if session.ask("SELECT to_json(pg_is_in_recovery())") else "primary"
        require_role(spec, role)
        changed = apply_files(spec, image, session)
        if spec.is_primary:
            changed = lift_fence() or changed
        else:
            wait_until_streaming(spec, session)
            changed = settle_replica(session, notes) or changed
    return Outcome(changed, record["image"], image.pinned, notes)


def settle_replica(session: Session, notes: List[str]) -> bool:
    """What a replica that streams leaves behind of its time as primary: slots and the mark; gives whether
    there was any, and adds to `notes` which consumers' slots there were. Has a checkpoint say which timeline it is on."""
    slots = session.ask(FIND_OWN_SLOTS)
    for slot in slots:
        session.execute("SELECT pg_drop_replication_slot(%s)" % quote(slot))
    logical = drop_leftovers(session)
    notes += describe_dropped(logical)
    if session.ask(IS_CHECKPOINT_OLD):
        session.execute("CHECKPOINT")
    return any([remove_mark(), slots, logical])


def apply_files(spec: Spec, image: Image, session: Session) -> bool:
    """Writes the configuration and has the server read it; gives whether anything changed.

    Raises Problem, with the old files back in place, when the server finds a mistake in the new ones.
    """
    before = _read_files()
    changed = bool(write_files(spec, image))
    # Files newer than the server's last look at them: an interrupted run wrote them.
    if not changed and not _is_unread(session):
        return False
    try:
        errors = session.ask(FIND_ERRORS) + session.ask(FIND_HBA_ERRORS)
        if errors:
            raise Problem(
                "PostgreSQL on %s does not accept the new configuration; the old one stays in force" % spec.node,
                "\n".join(errors),
            )
        session.execute("SELECT pg_reload_conf()")
    except Problem:
        # What is written must be what is in force, and known to be: the next run compares the files.
        for name, text in before.items():
            if text is not None:
                write_text("%s/%s" % (ETC, name), text)
        try:
            session.execute("SELECT pg_reload_conf()")
        except Problem:
            pass
        raise
    return True


def _read_files() -> Dict[str, Optional[str]]:
    return {name: read_text("%s/%s" % (ETC, name)) for name in (CONF, HBA)}


def _is_unread(session: Session) -> bool:
    return find_unread(float(session.ask("SELECT to_json(extract(epoch FROM pg_conf_load_time()))")))
