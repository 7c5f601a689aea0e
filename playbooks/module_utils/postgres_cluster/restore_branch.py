"""Which of the backups in a repository a recovery can begin with. It follows the newest timeline, and a backup that was made on a
branch which that timeline left, by a restore into the same folder or by a failover, is not on the way to it.

pgBackRest refuses such a backup (timelineVerify in restore/timeline.c, for --target-timeline=latest, its default), and so does
PostgreSQL ("requested timeline does not contain minimum recovery point"). Neither chooses another one.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, NamedTuple

from .command import Problem, run
from .layout import DATA
from .lsn import parse_lsn
from .untrusted import read_untrusted

HISTORY = re.compile(r"[0-9A-F]{8}\.history")
# Of PostgreSQL and of pgBackRest's database, e.g. `17-1`.
DATABASE = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3})?-[0-9]{1,6}")
READ_SECONDS = 300


class Branch(NamedTuple):
    """The newest timeline that a repository knows, and at which LSN it left each earlier one on its way."""

    timeline: int
    ends: Dict[int, int]

    def has(self, backup: Dict[str, Any]) -> bool:
        """Whether recovery can begin with a backup, as `pgbackrest info` describes it: the backup is complete where its
        timeline was left. Raises ValueError, LookupError or TypeError if it has another shape."""
        return self.contains(int(backup["archive"]["start"][:8], 16), parse_lsn(backup["lsn"]["stop"]))

    def contains(self, timeline: int, lsn: int) -> bool:
        """Whether a position is on the way to the newest timeline."""
        return timeline >= self.timeline or lsn <= self.ends.get(timeline, -1)


# Without any history there is one timeline.
ONLY = Branch(0, {})


def read_branch(command: List[str], cluster: str, database: str) -> Branch:
    """Reads the history of the newest timeline of a database. `command`: pgBackRest with its options. Raises Problem if the
    repository cannot be read."""
    if not DATABASE.fullmatch(database):
        raise ValueError(database[:100])
    folder = "archive/%s/%s" % (cluster, database)
    found = json.loads(_ask([*command, "--output=json", "--filter=\\.history$", "repo-ls", folder]))
    # As pgBackRest, which takes the highest number.
    newest = max(filter(HISTORY.fullmatch, found), default=None)
    return ONLY if newest is None else parse_branch(newest, _ask([*command, "repo-get", "%s/%s" % (folder, newest)]))


def read_own_branch() -> Branch:
    """Reads the history of the timeline of this node's server, which keeps it beside its WAL."""
    folder = DATA + "/pg_wal"
    try:
        newest = max(filter(HISTORY.fullmatch, os.listdir(folder)), default=None)
    except FileNotFoundError:
        return ONLY
    text = None if newest is None else read_untrusted("%s/%s" % (folder, newest))
    return ONLY if newest is None or text is None else parse_branch(newest, text)


def parse_branch(name: str, text: str) -> Branch:
    """Returns what a history says: each line has a timeline, the LSN at which it was left, and a reason (timeline.c).

    A later line may have an earlier LSN: a recovery that is to follow the newest timeline, and ends before the point where that
    began, copies its history and adds a line. What lies between is on no way to the newest timeline.
    """
    ends: Dict[int, int] = {}
    least = None
    for fields in reversed([line.split() for line in text.splitlines()]):
        if _is_entry(fields):
            least = parse_lsn(fields[1]) if least is None else min(least, parse_lsn(fields[1]))
            ends[int(fields[0])] = least
    return Branch(int(name[:8], 16), dict(reversed(list(ends.items()))))


def _is_entry(fields: List[str]) -> bool:
    return (
        len(fields) > 1
        and re.fullmatch("[0-9]{1,10}", fields[0]) is not None
        and re.fullmatch("[0-9A-F]{1,8}/[0-9A-F]{1,8}", fields[1]) is not None
    )


def _ask(command: List[str]) -> str:
    result = run(command, check=False, timeout=READ_SECONDS)
    if result.returncode != 0:
        raise Problem(result.stderr.strip() or "exit code %d" % result.returncode, result.stderr)
    return result.stdout
