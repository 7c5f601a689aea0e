"""The spool directory, in which pgBackRest's processes note which WAL files they have pushed."""

from __future__ import annotations

import os
import shutil

from .backup_layout import SPOOL
from .files import sync_directory


def forget_pushed() -> None:
    """Makes pgBackRest forget which WAL files it has pushed (archive/STANZA/out in the spool): what it noted would hold as
    well for a file of the same name in another repository, or of other data, which would then never be pushed."""
    if os.path.isdir(SPOOL + "/archive"):
        shutil.rmtree(SPOOL + "/archive", ignore_errors=True)
        sync_directory(SPOOL)
