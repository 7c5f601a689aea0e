"""A replica that needs WAL which its primary no longer has takes it from the archive, instead of being cloned."""

from __future__ import annotations

import os
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .admit import ensure_slots
from .archive_get import LSN, Range, list_names, list_ranges, render_command
from .archive_inherit import SEGMENT_SIZES, list_archived
from .archive_push import is_archiving
from .archive_status import SEGMENT
from .command import Problem
from .control import read_head
from .layout import DATA
from .lsn import parse_lsn
from .psql import Session, quote
from .server import read_replication
from .spec import Outcome, Spec
from .timeline import find_received_timeline
from .untrusted import read_untrusted

# A file of the archive's listing has up to 256 segments of 16 MiB. More than these would be a terabyte.
MOST_SEGMENTS = 65536

# The oldest segment without its timeline: those on disk are one history.
READ_WAL = """
SELECT json_build_object(
  'size', (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
  'timeline', ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,
  'oldest', (SELECT min(substr(name, 9)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'),
  'slots', (
    SELECT coalesce(json_agg(json_build_object('name', slot_name, 'start', restart_lsn)), '[]')
    FROM pg_replication_slots WHERE restart_lsn IS NOT NULL AND slot_name = ANY (string_to_array(%s, ','))))
"""


class PrimaryWal(NamedTuple):
    """What WAL the primary has, for one replica. Segments are numbered from the beginning of WAL."""

    # Of a segment, in bytes.
    size: int
    timeline: int
    # Each earlier timeline, oldest first, and where the next one began.
    ended: List[Tuple[int, str]]
    # The oldest segment on its disk.
    oldest: int
    # The first segment that the replica's slot retains.
    until: int

    @property
    def ranges(self) -> List[Range]:
        """The segments that the replica may take from the archive."""
        return list_ranges(self.timeline, self.ended, self.until, self.size)


def tell_wal(spec: Spec, slots: List[str]) -> Outcome:
    """On the primary: returns the fact `wal`, from which read_wal() reads. Makes a slot anew whose WAL was removed while its
    replica caught up."""
    with Session(spec.container) as session:
        if session.ask("SELECT to_json(pg_is_in_recovery())"):
            raise Problem("%s is in recovery, so it is not the primary; look at the cluster again" % spec.node)
        changed = ensure_slots(session, slots)
        wal = session.ask(READ_WAL % quote(",".join(slots)))
    wal["ended"] = _read_ended(wal["timeline"])
    return Outcome(changed, facts={"wal": wal})


def _read_ended(timeline: int) -> List[Dict[str, Any]]:
    """Returns {"timeline", "end"} of each earlier timeline, oldest first, from the history file: a line that is neither empty
    nor a comment has the timeline, the position, and a reason (timeline.c)."""
    if timeline == 1:
        return []
    text = read_untrusted("%s/pg_wal/%08X.history" % (DATA, timeline))
    if text is None:
        raise Problem("the primary has no history of its timeline %d" % timeline)
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [{"timeline": int(fields[0]), "end": fields[1]} for fields in lines]


def read_wal(told: Dict[str, Any], slot: str) -> PrimaryWal:
    """Returns what the primary said (tell_wal). Raises Problem if that is not complete, or not what a server would say: the
    restore_command is made from it."""
    try:
        size, timeline = int(told["size"]), int(told["timeline"])
        ended = [(int(one["timeline"]), str(one["end"])) for one in told["ended"]]
        start, oldest = [str(one["start"]) for one in told["slots"] if one["name"] == slot][0], str(told["oldest"])
    except (IndexError, KeyError, TypeError, ValueError):
        raise Problem("the primary does not say which WAL it has for slot %s" % slot)
    numbers = [number for number, _ in ended] + [timeline]
    is_ordered = all(before < after for before, after in zip([0, *numbers], numbers))
    positions = [lsn for _, lsn in ended] + [start]
    is_known = size in SEGMENT_SIZES and all(LSN.fullmatch(lsn) for lsn in positions) and SEGMENT.fullmatch("0" * 8 + oldest)
    if not (is_ordered and is_known and numbers[-1] < 2**32):
        raise Problem("the primary does not say which WAL it has for slot %s" % slot)
    first = int(oldest[:8], 16) * (2**32 // size) + int(oldest[8:], 16)
    return PrimaryWal(size, timeline, ended, first, parse_lsn(start) // size)


def follow_archive(spec: Spec, is_up: bool) -> Spec:
    """Returns the step with a configuration that takes from the archive what the primary no longer has; `spec` itself if the
    primary still has all.

    Raises Problem if the replica cannot catch up like that: it is of another history, or the archive lacks WAL or does not
    answer.
    """
    if spec.wal is None:
        return spec
    wal = read_wal(spec.wal, spec.slot)
    position = find_position(spec, wal.size, is_up)
    require_history(spec, wal, position)
    first = position // wal.size
    if first >= wal.until:
        return spec
    if not is_archiving():
        raise Problem("%s has no configuration for the archive" % spec.node)
    names = list_names(wal.ranges, first, min(wal.oldest, wal.until), wal.size)
    if len(names) > MOST_SEGMENTS:
        raise Problem("%s lacks %d WAL segments" % (spec.node, len(names)))
    folders = sorted({name[:16] for name in names})
    archived = {name for folder in folders for name in list_archived(spec.cluster, folder)}
    missing = [name for name in names if name not in archived]
    if missing:
        raise Problem("the archive lacks WAL segment %s, or does not answer" % missing[0])
    # The server keeps what it needs to start again, also of earlier timelines.
    command = render_command([one for one in wal.ranges if one.end > first], wal.size)
    return spec._replace(conf="%srestore_command = '%s'\n" % (spec.conf, command), archived_until=wal.until * wal.size)


def require_history(spec: Spec, wal: PrimaryWal, position: int) -> None:
    """Raises Problem if the data is not of the primary's history."""
    timeline = find_received_timeline()
    if timeline == wal.timeline:
        return
    end = dict(wal.ended).get(timeline)
    if end is None or position > parse_lsn(end):
        raise Problem("the data of %s went another way than %s (timeline %d)" % (spec.node, spec.primary, timeline))


def find_position(spec: Spec, size: int, is_up: bool) -> int:
    """Returns how far the WAL of the replica reaches, or a position in its last segment."""
    if is_up:
        state = read_replication(spec)
        if state is None:
            raise Problem("PostgreSQL on %s does not say how far it is" % spec.node)
        return max(parse_lsn(state[name] or "0/0") for name in ("received", "lsn"))
    head = read_head()
    if head is None:
        raise Problem("%s has no control file" % DATA)
    number = head.checkpoint // size
    present = {name[8:]: name for name in os.listdir(DATA + "/pg_wal") if SEGMENT.fullmatch(name)}
    high = 2**32 // size
    while read_page_address(present.get("%08X%08X" % divmod(number + 1, high))) == (number + 1) * size:
        number += 1
    return max(head.checkpoint, number * size)


def read_page_address(name: Optional[str]) -> Optional[int]:
    """Returns the position with which a segment of the data begins: a recycled one still has that of its former content
    (XLogPageHeaderData in xlog_internal.h)."""
    if name is None:
        return None
    try:
        descriptor = os.open("%s/pg_wal/%s" % (DATA, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        head = file.read(16)
    return struct.unpack("=HHIQ", head)[3] if len(head) == 16 else None
