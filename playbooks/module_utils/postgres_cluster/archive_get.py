"""Which WAL a replica may take from the archive, and the script that takes it: what PostgreSQL's restore_command calls.

An archive may hold WAL that a lost primary wrote after the present one had left its timeline, and histories of timelines
that nobody follows any more. A replica that replays such WAL can follow no other node again. So restore_command names the
segments that are the primary's own history, as far as the primary keeps the WAL that comes after them, and the script gives
nothing else: no other timeline, no later segment, no history file. Only a replica that catches up has a restore_command.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Sequence, Tuple

from .archive_status import Segment
from .backup_layout import BACKREST_CONF, TOOLS
from .command import Problem
from .layout import CONTAINER_ETC
from .lsn import parse_lsn

# The same path on the host and in the server's container.
SCRIPT = TOOLS + "/archive-get"
LSN = re.compile("[0-9A-F]{1,8}/[0-9A-F]{1,8}")

# Runs in the server's container, with the data directory as working directory, for dash and busybox. PostgreSQL takes a code
# above 125 for the end of recovery, and ends the server (RestoreArchivedFile in xlogarchive.c); after any other it asks the
# primary, and then this script again.
SCRIPT_TEXT = """#!/bin/sh
# Gets one WAL segment with pgBackRest. Called by PostgreSQL's restore_command: archive-get FILE PATH TIMELINE:FIRST-END ...
# gives those segments of these timelines, up to END, which is not included, and no other file.
conf=%(conf)s

is_allowed() {
  segment=$1
  shift
  for range; do
    bounds=${range#*:}
    [ "${range%%%%:*}" = "${segment%%????????????????}" ] || continue
    number=$((0x${segment#????????}))
    [ "$number" -lt $((0x${bounds%%-*})) ] || [ "$number" -ge $((0x${bounds#*-})) ] || return 0
  done
  return 1
}

file=$1 path=$2
shift 2
# Another length or another character: a history, or the rest of a former primary's last segment.
[ "${#file}" -eq 24 ] || exit 1
case $file in *[!0-9A-F]*) exit 1 ;; esac
is_allowed "$file" "$@" || exit 1
[ -f "$conf" ] || exit 1

# The name of the file's section, which is the stanza.
stanza=
while read -r line; do
  case $line in
    '[global]' | '['*':'*) ;;
    '['*']') stanza=${line#?} stanza=${stanza%%?} ;;
  esac
done < "$conf"

%(tools)s/pgbackrest --config="$conf" --stanza="$stanza" --log-level-console=off --log-level-stderr=warn \\
  archive-get "$file" "$path" && exit 0
exit 1
""" % {"conf": "%s/%s" % (CONTAINER_ETC, BACKREST_CONF), "tools": TOOLS}


class Range(NamedTuple):
    """Segments of one timeline; `end` is not included."""

    timeline: int
    first: int
    end: int


def list_ranges(timeline: int, ended: Sequence[Tuple[int, str]], until: int, size: int) -> List[Range]:
    """Returns the segments before `until` of a primary's history. `ended`: each earlier timeline of the primary, oldest first,
    with the position at which the next one began; `size`: of a segment, in bytes.

    The segment in which a timeline ends belongs to the next one, whose file begins with a copy of it (XLogInitNewTimeline in
    xlog.c): the file of the former timeline may go on with changes that were given up.
    """
    ranges: List[Range] = []
    first = 0
    for number, end in [*[(number, parse_lsn(lsn) // size) for number, lsn in ended], (timeline, until)]:
        if first < min(end, until):
            ranges.append(Range(number, first, min(end, until)))
        first = max(first, end)
    return ranges


def list_names(ranges: Sequence[Range], first: int, end: int, size: int) -> List[str]:
    """Returns the names of the segments from `first` on and before `end`."""
    return [
        Segment(one.timeline, number).format(size)
        for one in ranges
        for number in range(max(first, one.first), min(end, one.end))
    ]


def render_command(ranges: Sequence[Range], size: int) -> str:
    """Returns the restore_command that gives these segments and nothing else."""

    def position(number: int) -> str:
        return Segment(0, number).format(size)[8:]

    words = ["%08X:%s-%s" % (one.timeline, position(one.first), position(one.end)) for one in ranges]
    if not words:
        raise Problem("the primary's history has no WAL before what it keeps")
    return " ".join([SCRIPT, "%f", "%p", *words])
