"""Decides which backup is due. Pure: times are seconds since the epoch, and the schedule is in UTC, which has no summer time."""

from __future__ import annotations

import re
from typing import Any, List, NamedTuple, Optional, Tuple

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_SECONDS = 24 * 3600
# The pause after a failure doubles with each further one, up to an hour.
FIRST_PAUSE_SECONDS = 600
LONGEST_PAUSE_SECONDS = 3600

FULL = "full"
INCREMENTAL = "incremental"


class Schedule(NamedTuple):
    """When backups begin: every day, `minute` minutes after midnight (UTC), and a full one on weekday `day` (0: Monday)."""

    minute: int
    day: int


class Backup(NamedTuple):
    """A backup that the repository holds."""

    is_full: bool
    started: int
    # The segment with which its WAL starts; empty if that is not known.
    wal: str = ""
    label: str = ""
    # Since when WAL before it is missing, as the repository says (epoch); None if it closed no gap.
    missing_since: Optional[int] = None
    ended: int = 0


class Attempt(NamedTuple):
    """The last run of this node that ended. `failures`: how many of the last runs failed in a row, 0 after a success."""

    started: int
    ended: int
    failures: int
    # Whether it closed a gap in the archive.
    closed_gap: bool


def parse_schedule(document: Any) -> Optional[Schedule]:
    """Returns the schedule of backup.json, `{"time": "02:30", "fullOn": "sunday"}`; None for anything else."""
    if not isinstance(document, dict):
        return None
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", str(document.get("time")))
    day = document.get("fullOn")
    if match is None or day not in DAYS:
        return None
    return Schedule(int(match.group(1)) * 60 + int(match.group(2)), DAYS.index(day))


def due(
    now: int,
    backups: List[Backup],
    schedule: Schedule,
    has_gap: bool = False,
    last: Optional[Attempt] = None,
    forced: Optional[str] = None,
) -> Optional[str]:
    """Returns `full`, `incremental` or None: the backup that is to be made now.

    `backups`: those of the newest database; `has_gap`: whether the archive lacks WAL that the newest full one needs; `forced`:
    what a person or a deploy asks for, which waits for no pause.

    A run that was missed is made up for: what counts is whether a backup has begun since it was due. A backup that begins
    before midnight and ends after it therefore counts for the day on which it began. A backup of the future, after a clock
    was set back, counts for nothing: pgBackRest refuses the next one, and says that it is the clock.
    """
    known = [backup for backup in backups if backup.started <= now]
    wanted, is_for_gap = _choose(now, known, schedule, has_gap, forced)
    if wanted is None or forced is not None:
        return wanted
    return None if last is not None and _is_paused(now, last, is_for_gap) else wanted


def _choose(
    now: int, backups: List[Backup], schedule: Schedule, has_gap: bool, forced: Optional[str]
) -> Tuple[Optional[str], bool]:
    """Returns what is due without any pause, and whether it is to close a gap."""
    fulls = [backup.started for backup in backups if backup.is_full]
    if not fulls:
        return FULL, False
    if has_gap:
        return FULL, True
    if forced is not None:
        return forced, False
    if max(fulls) < _find_last(now, schedule, weekly=True):
        return FULL, False
    if max(backup.started for backup in backups) < _find_last(now, schedule, weekly=False):
        return INCREMENTAL, False
    return None, False


def _find_last(now: int, schedule: Schedule, weekly: bool) -> int:
    """Returns when a backup, or with `weekly` a full one, was last due."""
    period = 7 * DAY_SECONDS if weekly else DAY_SECONDS
    # The epoch was a Thursday.
    day = (schedule.day - DAYS.index("thursday")) % 7 if weekly else 0
    first = day * DAY_SECONDS + schedule.minute * 60
    return now - (now - first) % period


def _is_paused(now: int, last: Attempt, is_for_gap: bool) -> bool:
    """Whether it is too early after the last run. A run of the future, after a clock was set back, forbids nothing."""
    if last.ended > now:
        return False
    if last.failures > 0:
        # The exponent is bounded, because the count is not.
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(last.failures - 1, 10), LONGEST_PAUSE_SECONDS)
        return now < last.ended + pause
    # Where WAL is dropped again and again, full backups would only slow the archive down further.
    return is_for_gap and last.closed_gap and now < last.ended + LONGEST_PAUSE_SECONDS
