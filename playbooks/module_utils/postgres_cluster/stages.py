"""What a stage of a unit's work (worker.py) prints, and what follows from it: how far it is, whether another attempt may
help, and what is wrong with a result.

Needs no other module of the action: the program of a unit has a copy.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from typing import Any, Dict, List, Optional, Type

LOG_CHARACTERS = 4000
# Exit code of a stage's script if it would end the same way at another attempt.
UNFIT = 3

# `  123456/234567 kB (52%), 0/1 tablespace` (progress_report in pg_basebackup.c).
COPIED = re.compile(r"^\s*(\d+)/(\d+) kB \(")
# `P01 DETAIL: restore file /…/1259 (bundle 1/0, 8KB, 42.13%) checksum …` (restoreJobResult in pgBackRest's restore.c). A
# line of an empty file has no checksum.
RESTORED = re.compile(r"^P\d+\s+DETAIL: restore .*[ (](\d{1,3}\.\d\d)%\)( checksum [0-9a-f]+)?$")
# pgBackRest's lines about its work.
CHATTER = re.compile(r"^(P\d+\s+)?(DETAIL|INFO): ")
# RestoreArchivedFile in xlogarchive.c, in English.
SEGMENT = re.compile(r'^LOG:\s+restored log file "([0-9A-F]{24})" from archive$')
# The script of a recovery, with the time of the last replayed commit (restore.py).
REACHED = re.compile(r"^replayed up to (\d{1,11})$")
# The same script at the end.
DISABLED = re.compile(r"^disabled subscriptions (\[.*\])$")
# PerformWalRecovery in xlogrecovery.c (StartupXLOG in 14).
LAST_COMMIT = re.compile(r"^LOG:\s+last completed transaction was at log time (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)?\+00$")
# RestoreArchivedFile as well: restore_command gave up.
NOT_GIVEN = re.compile(r'^FATAL:\s+could not restore file "([0-9A-F]{8,24}[.a-z]*)" from archive', re.MULTILINE)
# pgBackRest on a file that is not what it wrote (src/build/error/error.yaml).
DAMAGED = re.compile(r"\[(ChecksumError|FormatError)\]|ERROR: \[0(26|29)\]")
ENDED_BEFORE = "recovery ended before configured recovery target was reached"
# canAcceptConnections in postmaster.c: a session that came too early.
REFUSED = re.compile(r"FATAL:.*the database system is (starting up|not yet accepting connections|not accepting connections)")

# progress_report in pg_amcheck.c, not on a terminal.
PAGES = re.compile(r"^\s*(\d+)/(\d+) relations \(\d+%\),\s*(\d+)/(\d+) pages \(\d+%\)")
# The handlers of its slots: a relation, and in the next line what is wrong with it.
FAULTY = re.compile(r'^((?:heap table|btree index) ".+?")(?:, block .*)?:$')
# pg_dump with --verbose.
DUMPED = re.compile(r'^pg_dump: dumping contents of table "')
# The script of a verification (verify.py), if pg_amcheck found damage.
DAMAGE = "pg_amcheck found damage"
# So many damaged relations are named.
MAX_NAMES = 10

SEGMENT_BYTES = 16 * 1024 * 1024
PAGE_BYTES = 8192


class Parser:
    """Takes what a command prints. `done` and `total` are bytes, `log` its last messages."""

    #: Whether each attempt begins with an empty directory.
    clears = True
    #: What happens to the bytes.
    verb = "copied"

    def __init__(self, stage: Dict[str, Any]) -> None:
        self.done = 0
        self.total: Optional[int] = stage.get("total")
        self.log = ""
        # Seconds since the epoch: the time of the last replayed commit, while it is replayed.
        self.reached: Optional[int] = None

    def take_line(self, line: str) -> None:
        """Takes a line."""
        self.log = (self.log + line)[-LOG_CHARACTERS:]

    def may_try_again(self, code: int) -> bool:
        """Whether the next attempt may help after one that ended with this code."""
        return False

    def explain(self) -> Optional[str]:
        """Returns why an attempt failed, if that is known."""
        return None

    def find_fault(self, attempt: int) -> Optional[str]:
        """Returns what is wrong with the result of an attempt that succeeded, None for nothing. `attempt`: from 0."""
        return None

    def describe(self, attempt: int) -> Dict[str, Any]:
        """Returns what the state of the work keeps of a stage that succeeded."""
        return {}


class Basebackup(Parser):
    """pg_basebackup."""

    def take_line(self, line: str) -> None:
        match = COPIED.match(line)
        if match is None:
            super().take_line(line)
        else:
            self.done, total = int(match.group(1)) * 1024, int(match.group(2)) * 1024
            # The estimate is made before the copy: the database may have grown since.
            self.total = max(total, self.done)

    def may_try_again(self, code: int) -> bool:
        """Only after an attempt that copied nothing: it asked for a compression that one side does not support, in an error
        message of any language."""
        return self.done == 0 and code != UNFIT


class Restore(Parser):
    """`pgbackrest restore`. The stage has the size of the database as `total`."""

    verb = "restored"

    def take_line(self, line: str) -> None:
        match = RESTORED.match(line.rstrip("\n"))
        if match is not None:
            # Files that are restored side by side are counted as each of them ends.
            self.done = max(self.done, int((self.total or 0) * float(match.group(1)) / 100))
        elif CHATTER.match(line) is None:
            super().take_line(line)


class Recovery(Parser):
    """PostgreSQL in archive recovery. The stage has the name of the newest archived WAL segment as `newest`, the end of the
    backup as `ended` (seconds since the epoch), the first segment and the end of each later backup as `later`, and whether its first attempt has a target as `hasTarget`. The second one has
    none."""

    clears = False
    verb = "replayed"

    def __init__(self, stage: Dict[str, Any]) -> None:
        super().__init__(stage)
        self._newest: Optional[str] = stage.get("newest")
        self._has_target = bool(stage.get("hasTarget"))
        self._backup_ended: Optional[int] = stage.get("ended")
        self._later: List[List[Any]] = stage.get("later") or []
        self._first: Optional[str] = None
        self.last: Optional[str] = None
        self.last_commit: Optional[int] = None
        self._subscriptions: List[str] = []
        self._was_refused = False

    def take_line(self, line: str) -> None:
        text = line.rstrip("\n")
        segment, reached, commit = SEGMENT.match(text), REACHED.match(text), LAST_COMMIT.match(text)
        disabled = DISABLED.match(text)
        if segment is not None:
            self._take_segment(segment.group(1))
        elif reached is not None:
            self.reached = int(reached.group(1))
        elif disabled is not None:
            self._subscriptions = _read_names(disabled.group(1))
        else:
            # A DETAIL may follow.
            self._was_refused = REFUSED.search(text) is not None or (self._was_refused and text.startswith("DETAIL:"))
            if not self._was_refused:
                super().take_line(line)
        if commit is not None:
            self.last_commit = calendar.timegm(time.strptime(commit.group(1), "%Y-%m-%d %H:%M:%S"))

    def _take_segment(self, name: str) -> None:
        self._first = self._first or name
        # Segments are looked for on newer timelines as well; a name sorts by its timeline first.
        self.last = max(self.last or "", name)
        self.done = max(self.done, locate(self.last) - locate(self._first))
        if self._newest is not None and not self._has_target:
            self.total = max(self.done, locate(self._newest) - locate(self._first))

    @property
    def is_complete(self) -> bool:
        """Whether everything that the archive had was replayed."""
        return self._newest is None or (self.last is not None and self.last >= self._newest)

    def may_try_again(self, code: int) -> bool:
        """After a target that is later than the last commit in the archive: without one, the same is replayed."""
        return ENDED_BEFORE in self.log and self.is_complete

    def explain(self) -> Optional[str]:
        match = NOT_GIVEN.search(self.log)
        if match is not None:
            what = "is damaged in the archive" if DAMAGED.search(self.log) else "cannot be got from the archive"
            return "%s %s. %s" % (match.group(1), what, self._advise(match.group(1)))
        return self.describe_gap() if ENDED_BEFORE in self.log and not self.is_complete else None

    def find_fault(self, attempt: int) -> Optional[str]:
        """Recovery without a target ends at the first segment that is missing or damaged, and calls that a success."""
        return None if self._stops_at_target(attempt) or self.is_complete else self.describe_gap()

    def describe(self, attempt: int) -> Dict[str, Any]:
        return {
            "lastCommit": self.last_commit,
            "metTarget": self._stops_at_target(attempt),
            "subscriptions": self._subscriptions,
        }

    def _stops_at_target(self, attempt: int) -> bool:
        return self._has_target and attempt == 0

    def describe_gap(self) -> str:
        """Says where the WAL of the archive ends too early, and up to which time it can be restored."""
        where = "its WAL cannot be read at all" if self.last is None else "its WAL cannot be read beyond %s" % self.last
        return "%s, and the archive has WAL up to %s: a segment between them is missing or damaged. %s" % (
            where,
            self._newest,
            self._advise(self.last or ""),
        )

    def _advise(self, reached: str) -> str:
        """Says which times can be restored if WAL cannot be read from segment `reached`, or the next one, on. A target needs a
        commit that is not earlier, and lies after the end of the backup, which is known to the second."""
        # The backups are in the order of their ends.
        ends = [ended for start, ended in self._later if start > reached]
        after = ", or with one after %s, the end of the next backup" % show_time(ends[0]) if ends else ""
        commit, ended = self.last_commit or self.reached, self._backup_ended or 0
        if commit is not None and commit > ended:
            return "It can be restored with restore.time %s or earlier%s" % (show_time(commit), after)
        when = show_time(ended)
        before = "It can be restored with a restore.time before the end of this backup (%s), if there is an older one" % when
        return before + after


class Verification(Parser):
    """pg_amcheck, or pg_dumpall where there is none. That damage was found is no failure of the stage: who started it reports
    it with everything else."""

    clears = False
    verb = "verified"

    def __init__(self, stage: Dict[str, Any]) -> None:
        super().__init__(stage)
        self._method = stage.get("method")
        self._relations = 0
        self._is_damaged = False
        # {relation: what is wrong with it}, of the first ones.
        self._damage: Dict[str, str] = {}
        self._last: Optional[str] = None

    def take_line(self, line: str) -> None:
        text = line.rstrip("\n")
        pages, faulty = PAGES.match(text), FAULTY.match(text)
        if pages is not None:
            self._relations = int(pages.group(2))
            self.done, self.total = int(pages.group(3)) * PAGE_BYTES, int(pages.group(4)) * PAGE_BYTES
            return
        if DUMPED.match(text) is not None:
            self._relations += 1
            return
        if text == DAMAGE:
            self._is_damaged = True
            return
        super().take_line(line)
        if faulty is not None:
            self._last = faulty.group(1)
        elif self._last is not None and text.startswith("    "):
            if len(self._damage) < MAX_NAMES:
                self._damage.setdefault(self._last, text.strip())
            self._last = None

    def describe(self, attempt: int) -> Dict[str, Any]:
        damage = [{"relation": name, "message": message} for name, message in self._damage.items()]
        return {"method": self._method, "relations": self._relations, "isDamaged": self._is_damaged, "damage": damage}


PARSERS: Dict[str, Type[Parser]] = {
    "basebackup": Basebackup,
    "restore": Restore,
    "recovery": Recovery,
    "verification": Verification,
}


def locate(segment: str) -> int:
    """Returns where a WAL segment begins, from its name, with the default size of 16 MiB: it is for a report only."""
    return (int(segment[8:16], 16) << 32) + int(segment[16:24], 16) * SEGMENT_BYTES


def show_time(seconds: int) -> str:
    """Returns a time for people, e.g. `2026-11-27 02:30:00 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _read_names(text: str) -> List[str]:
    """Returns a JSON list of names; [] for anything else."""
    try:
        names = json.loads(text)
    except ValueError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
