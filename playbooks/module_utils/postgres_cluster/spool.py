"""The spool directory, in which pgBackRest's processes note which WAL files they have pushed, and keep those that they get in
advance."""

from __future__ import annotations

import glob
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


def forget_fetched() -> None:
    """Deletes the WAL files that pgBackRest has got in advance, which a replica that streams needs no more."""
    for folder in glob.glob(SPOOL + "/archive/*/in"):
        shutil.rmtree(folder, ignore_errors=True)
