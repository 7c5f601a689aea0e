"""A new primary archives what the former one did not, so that a promotion leaves no gap in what can be restored.

PostgreSQL does it once the files wait to be archived: from before the promotion on, as the checkpoint that follows it removes
the former timeline's segments. WAL that this node does not have any more is noted as dropped: the next full backup closes
the gap."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Set

from .archive_push import forget_noted, is_archiving, note_dropped, replace_dropped
from .archive_status import SEGMENT, Segment, find_first_waiting, parse_segment, reopen
from .backup_layout import BACKREST_CONF, TOOLS
from .command import Problem, run
from .layout import DATA, ETC
from .restore_branch import read_own_branch

# An archive that does not answer must not hold a failover for long.
ASK_SECONDS = 10
# What a segment can have, in bytes (wal_segment_size).
SEGMENT_SIZES = {2**power for power in range(20, 31)}
# Noted in place of WAL files that the lost primary may not have archived.
UNSETTLED = "of-the-lost-primary"
# Of the segments that are noted.
MOST = 500


class Inherited(NamedTuple):
    """What the node took over before its promotion."""

    # The first segment that this node archives; None for none.
    own: Optional[str]
    # The segments that neither the archive nor this node has; None if the former primary did not say what it had archived.
    missing: Optional[List[str]]


def inherit_told(first: Optional[str], dropped: Optional[Dict[str, Any]]) -> Optional[Inherited]:
    """On the new primary of a switchover, before its promotion. `first`: the first segment that the old primary has not
    archived, None if it has archived all; `dropped`: what it noted as dropped. Returns None without backups."""
    if not is_archiving():
        return None
    replace_dropped(dropped)
    if first is None:
        return Inherited(None, [])
    reopen(first)
    own = find_first_waiting()
    missing = _find_missing(first, own)
    if missing:
        note_dropped(missing)
    return Inherited(own, missing)


def inherit_unknown() -> Optional[Inherited]:
    """On the new primary of a failover, before its promotion. Returns None without backups.

    Until settle_inheritance() knows better, WAL counts as missing: the run may end in between, and a later one sees a primary
    like any other.
    """
    if not is_archiving():
        return None
    reopen()
    note_dropped([UNSETTLED])
    return Inherited(find_first_waiting(), None)


def settle_inheritance(inherited: Optional[Inherited], cluster: str) -> List[str]:
    """After the promotion: returns sentences about WAL that no node will archive. In a failover it asks the archive whether it
    has what comes before this node's own WAL; without an answer that counts as missing, and is noted as dropped."""
    if inherited is None:
        return []
    missing = inherited.missing
    doubt = ""
    if missing is None:
        missing = _ask_archive(cluster, inherited.own)
        doubt = ", or does not say that it has it"
        if missing:
            note_dropped(missing)
        forget_noted(UNSETTLED)
    if not missing:
        return []
    wal = missing[0] if len(missing) == 1 else "the WAL from %s to %s" % (missing[0], missing[-1])
    return [
        "the archive of the backups lacks %s, which the former primary had not archived%s: until the next full backup, which is "
        "due, no restore can go further than that" % (wal, doubt)
    ]


def _find_missing(first: str, own: Optional[str]) -> List[str]:
    """Returns the segments from `first` on that this node does not have; only the latest ones if there are very many."""
    size = _read_segment_bytes()
    start = parse_segment(first, size)
    # Without any the WAL of the former timeline is gone, but for the segment in which it ended.
    end = start.number + 1 if own is None else parse_segment(own, size).number
    return [Segment(start.timeline, number).format(size) for number in range(max(start.number, end - MOST), end)]


def _ask_archive(cluster: str, own: Optional[str]) -> List[str]:
    """Returns the segment before those that this node archives, unless the archive has it."""
    size = _read_segment_bytes()
    # Where each former timeline ended, oldest first: the segment in which the next one goes on.
    history = [Segment(timeline, lsn // size) for timeline, lsn in read_own_branch().ends.items()]
    if not history:
        return []
    number = (parse_segment(own, size).number if own is not None else history[-1].number) - 1
    if number < 1:
        # WAL begins with segment 1 (BootStrapXLOG in xlog.c).
        return []
    timeline = next((ended.timeline for ended in history if number < ended.number), history[-1].timeline)
    name = Segment(timeline, number).format(size)
    return [] if is_archived(cluster, name) else [name]


def is_archived(cluster: str, name: str) -> bool:
    """Whether the archive has a segment. False as well if the archive does not answer."""
    return name in list_archived(cluster, name[:16], name)


def list_archived(cluster: str, folder: str, name: str = "") -> Set[str]:
    """Returns the segments that the archive has in a folder, which is named by the first 16 digits of theirs; none if it does
    not answer. `name`: only this one."""
    found = _list_repository(cluster, "archive/" + cluster)
    # E.g. `17-1`: of the newest database.
    databases = [entry for entry in found if re.fullmatch(r"[0-9.]+-[0-9]+", entry)]
    if not databases:
        return set()
    newest = max(databases, key=lambda entry: int(entry.split("-")[1]))
    path = "archive/%s/%s/%s" % (cluster, newest, folder)
    # A segment's name, then the digest of its content: what is not complete has another name.
    entries = _list_repository(cluster, path, "^%s-" % (name or "[0-9A-F]{24}"))
    return {entry[:24] for entry in entries if re.match("[0-9A-F]{24}-", entry)}


def _list_repository(cluster: str, path: str, pattern: Optional[str] = None) -> List[str]:
    options = ["--config=%s/%s" % (ETC, BACKREST_CONF), "--stanza=" + cluster, "--log-level-console=off"]
    words = [TOOLS + "/pgbackrest", *options, *(["--filter=" + pattern] if pattern else []), "repo-ls", path]
    try:
        result = run(words, check=False, timeout=ASK_SECONDS)
    except Problem:
        return []
    return result.stdout.splitlines() if result.returncode == 0 else []


def _read_segment_bytes() -> int:
    folder = DATA + "/pg_wal"
    names = [name for name in os.listdir(folder) if SEGMENT.fullmatch(name)]
    found = {os.lstat("%s/%s" % (folder, name)).st_size for name in names} & SEGMENT_SIZES
    if not found:
        raise Problem("%s holds no WAL" % folder)
    return min(found)
