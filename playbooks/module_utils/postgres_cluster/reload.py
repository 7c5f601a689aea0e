"""Applies configuration that requires no restart."""

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

# The view also reports a changed setting of context `postmaster` as an error, as it cannot be applied without a restart
# (ProcessConfigFileInternal in guc.c). The restart step applies those.
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

# Whether the control file still has an earlier timeline. A restartpoint updates it.
IS_CHECKPOINT_OLD = """
SELECT to_json(coalesce(
  (SELECT timeline_id FROM pg_control_checkpoint()) < (SELECT received_tli FROM pg_stat_wal_receiver), false))
"""


def reload(spec: Spec) -> Outcome:
    """Writes the configuration and makes the server load it.

    A replica follows its configured primary before this returns, and loses the slots of its time as the primary: they
    would retain WAL for ever. A fence that an interrupted switchover left on a primary is lifted.
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
    """Removes what a streaming replica kept from its time as the primary: slots and the mark. Returns whether there was any,
    and adds the names of consumers' slots to `notes`. A checkpoint then records the replica's timeline."""
    slots = session.ask(FIND_OWN_SLOTS)
    for slot in slots:
        session.execute("SELECT pg_drop_replication_slot(%s)" % quote(slot))
    logical = drop_leftovers(session)
    notes += describe_dropped(logical)
    if session.ask(IS_CHECKPOINT_OLD):
        session.execute("CHECKPOINT")
    return any([remove_mark(), slots, logical])


def apply_files(spec: Spec, image: Image, session: Session) -> bool:
    """Writes the configuration and makes the server load it; returns whether anything changed.

    If the server finds an error in the new files, restores the old ones and raises Problem.
    """
    before = _read_files()
    changed = bool(write_files(spec, image))
    # Files newer than the server's last load: an interrupted run wrote them.
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
        # The files must be what the server has loaded: the next run compares only the files.
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
