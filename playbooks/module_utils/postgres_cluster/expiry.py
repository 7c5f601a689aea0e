"""Keeps backups that expire, on a new primary whose backup settings are not the cluster's.

A node that was out of reach while a deploy changed `backup` still has the earlier settings. If it becomes the primary, its
backups would delete what a shorter retention deletes, and nobody has agreed to that. So it deletes nothing until a deploy has
written its files again: step `archive` replaces the whole file.
"""

from __future__ import annotations

import os
import re
from typing import List

from .backrest_errors import read_option
from .backup_layout import BACKREST_CONF
from .files import read_text, write_text
from .layout import ETC

# After a backup pgBackRest then does not run its command `expire` (Configuration Reference, "expire-auto").
LINE = "expire-auto=n"


def hold_expiry() -> List[str]:
    """Changes this node's pgbackrest.conf so that its backups delete none that expired; returns a sentence about that, [] without
    such a file."""
    path = "%s/%s" % (ETC, BACKREST_CONF)
    conf = read_text(path)
    if conf is None:
        return []
    if not read_option(conf, "expire-auto"):
        status = os.stat(path)
        held = re.sub(r"^\[global\]$", "[global]\n" + LINE, conf, count=1, flags=re.MULTILINE)
        # It belongs to PostgreSQL's user if it has the key of an encrypted repository.
        write_text(path, held, status.st_mode & 0o7777, (status.st_uid, status.st_gid))
    days = read_option(conf, "repo1-retention-full")
    return [
        "its backup settings (retention_days: %s) are not those of the cluster file: until the next deploy, which writes them, no "
        "backup that expired is deleted" % (days or "unknown")
    ]
