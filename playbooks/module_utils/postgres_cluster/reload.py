"""Changing configuration that needs no restart."""

from __future__ import annotations

import os
from typing import Dict, Optional

from .command import Problem
from .files import read_text, write_text
from .image import Image, ensure_image
from .layout import CONF, ETC, HBA
from .psql import Session
from .record import read_record
from .server import wait_until_ready, write_files
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


def reload(spec: Spec) -> Outcome:
    """Writes the configuration and has the server read it."""
    record = read_record()
    if record is None:
        raise Problem("%s has no complete data; there is nothing to reload" % spec.node)
    image, _ = ensure_image(record["digest"])
    wait_until_ready(spec)
    with Session(spec.container) as session:
        return Outcome(apply_files(spec, image, session), record["image"], image.pinned, [])


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
        # What is written must be what is in force: the next run compares the files.
        for name, text in before.items():
            if text is not None:
                write_text("%s/%s" % (ETC, name), text)
        raise
    return True


def _read_files() -> Dict[str, Optional[str]]:
    return {name: read_text("%s/%s" % (ETC, name)) for name in (CONF, HBA)}


def _is_unread(session: Session) -> bool:
    loaded = session.ask("SELECT to_json(extract(epoch FROM pg_conf_load_time()))")
    return any(os.path.getmtime("%s/%s" % (ETC, name)) > float(loaded) for name in (CONF, HBA))
