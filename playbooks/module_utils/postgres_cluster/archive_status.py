"""Which WAL files of this node's data are archived, by the files that PostgreSQL keeps beside them: `.ready` waits for the
archiver, `.done` is archived. A replica's receiver writes `.done` for what it received, as its primary archives that
(XLogWalRcvClose in walreceiver.c); a server keeps `.ready` files until they are archived (XLogArchiveCheckDone in
xlogarchive.c). So a new primary that is to archive a file again only needs its status changed."""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Optional

from .backup_layout import BACKREST_CONF
from .files import read_text, sync_directory
from .layout import DATA, ETC
from .untrusted import create_untrusted

SEGMENT = re.compile("[0-9A-F]{24}")
# A recovery needs segments, and the histories of timelines.
HISTORY = re.compile(r"[0-9A-F]{8}\.history")
NEEDED = re.compile(r"[0-9A-F]{24}|[0-9A-F]{8}\.history")
# pgBackRest's units (src/config/parse.c, cfgParseSize).
UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Segment(NamedTuple):
    """A WAL segment: its timeline and its number, counted from the beginning of WAL."""

    timeline: int
    number: int

    def format(self, size: int) -> str:
        """Returns its file name; `size`: of a segment, in bytes (XLogFileName in xlog_internal.h)."""
        high, low = divmod(self.number, 2**32 // size)
        return "%08X%08X%08X" % (self.timeline, high, low)


def parse_segment(name: str, size: int) -> Segment:
    """Returns what a file name says; `size`: of a segment, in bytes."""
    return Segment(int(name[:8], 16), int(name[8:16], 16) * (2**32 // size) + int(name[16:], 16))


def list_waiting() -> List[str]:
    """Returns the WAL files that wait to be archived, in the order of their names: segments, histories and others."""
    return _list_status(".ready")


def is_done(name: str) -> bool:
    """Whether a complete segment is archived, as far as PostgreSQL knows, or was already removed after that."""
    done = os.path.exists("%s/%s.done" % (_status_folder(), name))
    return done or not os.path.exists("%s/pg_wal/%s" % (DATA, name))


def find_first_waiting() -> Optional[str]:
    """Returns the first segment that waits to be archived; None if none does."""
    return next((name for name in list_waiting() if SEGMENT.fullmatch(name)), None)


def reopen(first: Optional[str] = None) -> List[str]:
    """Makes complete segments, and histories, wait to be archived by this server once it is the primary; returns their
    names.

    `first`: the first segment that the former primary has not archived. Without it, it is not known what the archive has:
    then all of them, which costs little as pgBackRest accepts a file twice, but no more than half of what its queue takes,
    as a full queue is dropped; the latest ones.
    """
    folder = _status_folder()
    found = [name for name in _list_status(".done") if NEEDED.fullmatch(name)]
    sizes: Dict[str, int] = {}
    for name in found:
        try:
            sizes[name] = os.stat("%s/pg_wal/%s" % (DATA, name)).st_size
        except FileNotFoundError:
            continue
    limit = None if first else read_queue_bytes()
    chosen: List[str] = []
    total = 0
    # Histories are small and first.
    for name in sorted(sizes, key=lambda name: (bool(SEGMENT.fullmatch(name)), _descending(name))):
        total += sizes[name]
        if SEGMENT.fullmatch(name) and ((first is not None and name < first) or (limit is not None and total > limit // 2)):
            break
        try:
            _reopen(folder, name)
        except FileNotFoundError:
            # A restartpoint has removed the segment.
            continue
        chosen.append(name)
    if chosen:
        sync_directory(folder)
    return sorted(chosen)


def reopen_histories() -> None:
    """Makes the histories of all timelines wait to be archived. A timeline that began while nothing was archived, as a
    restore's does, has no status at all. Without its history in the archive, a recovery from an older backup would not find
    the way to it (findNewestTimeLine in timeline.c), and the next restore would give its number to another timeline."""
    folder = _status_folder()
    try:
        names = [name for name in os.listdir(DATA + "/pg_wal") if HISTORY.fullmatch(name)]
    except FileNotFoundError:
        return
    for name in names:
        if os.path.exists("%s/%s.ready" % (folder, name)):
            continue
        if os.path.exists("%s/%s.done" % (folder, name)):
            _reopen(folder, name)
        else:
            create_untrusted(DATA, "pg_wal/archive_status", name + ".ready")
    if names:
        sync_directory(folder)


def _reopen(folder: str, name: str) -> None:
    done = "%s/%s.done" % (folder, name)
    # It waits from now on: its time is shown as the age of what waits.
    os.utime(done, follow_symlinks=False)
    os.rename(done, "%s/%s.ready" % (folder, name))


def _descending(name: str) -> int:
    return -int(name.split(".")[0], 16)


def read_queue_bytes() -> Optional[int]:
    """Returns how much WAL may wait before pgBackRest drops it (`archive-push-queue-max`), in bytes; None without a limit."""
    text = read_text("%s/%s" % (ETC, BACKREST_CONF)) or ""
    found = re.search(r"^archive-push-queue-max=(\d+)([KMGTB]?)(?:i?B)?$", text, re.MULTILINE)
    return None if found is None else int(found.group(1)) * UNITS[found.group(2)]


def _status_folder() -> str:
    return DATA + "/pg_wal/archive_status"


def _list_status(suffix: str) -> List[str]:
    try:
        names = os.listdir(_status_folder())
    except FileNotFoundError:
        return []
    return sorted(name[: -len(suffix)] for name in names if name.endswith(suffix))
