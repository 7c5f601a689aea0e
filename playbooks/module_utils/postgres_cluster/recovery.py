"""Whether a server that starts or replays gets on, seen from outside: before it takes connections nobody can ask it.

Crash recovery and the reading of WAL are the startup process's. Its title names the segment that it replays
(XLogFileRead in xlogrecovery.c; in xlog.c before 15), its time on the processors and what it reads and writes are in
/proc (proc(5)). Before it the startup process syncs the whole data directory (SyncDataDirectory in fd.c), and after it
the checkpointer writes what was replayed: then only the volume moves, which is PostgreSQL's alone.
"""

from __future__ import annotations

import os
import re
import time
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from .docker import inspect_container
from .files import read_text
from .layout import ROOT

# Between two looks. One that waits for WAL looks for it every five seconds (wal_retrieve_retry_interval).
LOOK_SECONDS = 5.0
# Less is what a process does that waits: a page read again, a file looked for. A slow volume does ten times as much.
BYTES_PER_SECOND = 64 * 1024
REQUESTS_PER_SECOND = 10
PROCESSOR_SHARE = 0.1

# A wait that people ask about.
NOTE_SECONDS = 60

TITLE = re.compile(r"^postgres: (?:.*: )?startup(?: +(?:recovering|waiting for) ([0-9A-F]{24}))?")
RECEIVER = re.compile(r"^postgres: (?:.*: )?walreceiver")

# States of proc_pid_stat(5) in which a process waits neither for WAL nor for a lock.
HELD = {"D": "waits for a disk", "T": "was stopped by a signal", "t": "is held by a debugger"}


# What this step has waited for, for the module that does the step. A module is a process of its own.
notes: List[str] = []


class Sample(NamedTuple):
    """What a look found. Counters only grow as long as it is the same process."""

    pid: Optional[int]
    # Its state in one letter, as proc_pid_stat(5) has it.
    state: str
    # The segment that it replays, by name; None before the first and where update_process_title is off.
    segment: Optional[str]
    # Seconds on the processors.
    processor: float
    # Bytes that it read and wrote, from the page cache as well.
    bytes: int
    # The volume's requests and bytes.
    requests: int
    volume: int
    # Whether the container has a WAL receiver.
    receives: bool


class Recovery:
    """Watches the recovery of one server. `look()` as often as you like. `receives`: it is known to have had a WAL
    receiver (has_moved)."""

    def __init__(self, container: str, receives: bool = False) -> None:
        self._container = container
        self._segments: Set[str] = set()
        self._last: Optional[Tuple[float, Sample]] = None
        self._received = receives
        self._first: Optional[str] = None
        self._latest: Optional[str] = None
        self._begin = time.monotonic()

    def look(self) -> bool:
        """Whether recovery got on since the last look. False where that was less than LOOK_SECONDS ago."""
        now = time.monotonic()
        if self._last is not None and now < self._last[0] + LOOK_SECONDS:
            return False
        sample = take_sample(self._container)
        before = self._last
        self._last = (now, sample)
        self._received = self._received or sample.receives
        if sample.segment is not None and sample.segment not in self._segments:
            self._segments.add(sample.segment)
            self._first = self._first or sample.segment
            self._latest = max(self._latest or "", sample.segment)
            return True
        if before is None:
            return False
        return has_moved(before[1], sample, now - before[0], self._received)

    def note(self, what: str) -> None:
        """Has people know how long this took, where it took long: `what` says what came at its end."""
        seconds = time.monotonic() - self._begin
        if seconds < NOTE_SECONDS:
            return
        replayed = "" if self._first is None else ", WAL segments %s to %s replayed" % (self._first, self._latest)
        notes.append("%s after %d s%s" % (what, seconds, replayed))

    @property
    def is_there(self) -> bool:
        """Whether the last look found a startup process: the server recovers, or it is a replica."""
        return self._last is not None and self._last[1].pid is not None

    @property
    def held(self) -> Optional[str]:
        """What holds the startup process where it is not WAL or a lock that it waits for; None where nothing does."""
        return None if self._last is None else HELD.get(self._last[1].state)

    def describe(self) -> str:
        """How far recovery is, e.g. `it replays WAL segment …0A; 312 s ago it was at …03`."""
        seconds = time.monotonic() - self._begin
        segment = None if self._last is None else self._last[1].segment
        if segment is None:
            return "no WAL was seen to be replayed within %d s" % seconds
        if segment == self._first:
            return "it replays WAL segment %s, the same as %d s ago" % (segment, seconds)
        return "it replays WAL segment %s; %d s ago it was at %s" % (segment, seconds, self._first)


def has_moved(before: Sample, after: Sample, seconds: float, received: bool) -> bool:
    """Whether what two looks found, that many seconds apart, is the work of a server that gets on.

    `received`: it had a WAL receiver. One that goes another way than its primary receives the same segment again and
    again, which keeps the volume busy.
    """
    if before.pid != after.pid:
        return True
    if after.processor - before.processor >= PROCESSOR_SHARE * seconds:
        return True
    if after.bytes - before.bytes >= BYTES_PER_SECOND * seconds:
        return True
    # What keeps the volume busy is the work of a server that is up, and answers nobody at the address it is asked at.
    if received or after.pid is None:
        return False
    requests, volume = after.requests - before.requests, after.volume - before.volume
    return requests >= REQUESTS_PER_SECOND * seconds or volume >= BYTES_PER_SECOND * seconds


def take_sample(container: str) -> Sample:
    """Looks at the processes of a container and at the cluster's volume."""
    requests, volume = _read_volume()
    found = inspect_container(container)
    # 0 of a container that does not run.
    first = 0 if found is None else int(found["State"]["Pid"])
    processes = _list_processes(first) if first else {}
    receives = any(RECEIVER.match(title) for title in processes.values())
    for pid, title in processes.items():
        match = TITLE.match(title)
        if match is None:
            continue
        fields = _read_fields(pid)
        if fields is None:
            continue
        processor = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        size = _read_bytes(pid)
        return Sample(pid, fields[0], match.group(1), processor, size, requests, volume, receives)
    return Sample(None, "", None, 0.0, 0, requests, volume, receives)


def _list_processes(first: int) -> Dict[int, str]:
    """{pid: title} of the postmaster's children. `first` is the container's first process: docker-init, whose child the
    postmaster is, or in a container of an earlier version the postmaster itself."""
    parents = {}
    for name in os.listdir("/proc"):
        fields = _read_fields(int(name)) if name.isdigit() else None
        if fields is not None:
            parents[int(name)] = int(fields[1])
    inside = {pid for pid, parent in parents.items() if first in (parent, parents.get(parent))}
    titles = {pid: _read("/proc/%d/cmdline" % pid) or "" for pid in inside}
    return {pid: title.replace("\0", " ").strip() for pid, title in titles.items()}


def _read_fields(pid: int) -> Optional[List[str]]:
    """The fields of proc_pid_stat(5) after the name, so from the third on: it may hold blanks and brackets."""
    text = _read("/proc/%d/stat" % pid)
    return None if text is None else text.rpartition(")")[2].split()


def _read_bytes(pid: int) -> int:
    found = re.findall(r"^[rw]char: (\d+)$", _read("/proc/%d/io" % pid) or "", re.MULTILINE)
    return sum(int(number) for number in found)


def _read_volume() -> Tuple[int, int]:
    """(requests, bytes) that the volume's device has done (Documentation/block/stat.rst; its sectors have 512 bytes)."""
    try:
        number = os.stat(ROOT).st_dev
    except OSError:
        return 0, 0
    fields = (_read("/sys/dev/block/%d:%d/stat" % (os.major(number), os.minor(number))) or "").split()
    if len(fields) < 7:
        return 0, 0
    return int(fields[0]) + int(fields[4]), (int(fields[2]) + int(fields[6])) * 512


def _read(path: str) -> Optional[str]:
    """None of a process that has ended meanwhile."""
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return None
