"""Whether a server that starts or replays makes progress, seen from outside: it cannot be queried before it accepts
connections.

The startup process performs crash recovery and replay. Its title names the segment that it replays (XLogFileRead in
xlogrecovery.c; in xlog.c before 15); /proc has its CPU time and the bytes it reads and writes (proc(5)). Before replay it
syncs the whole data directory (SyncDataDirectory in fd.c), and after it the checkpointer writes the changed pages: then
only the volume shows activity, and only PostgreSQL uses that volume.
"""

from __future__ import annotations

import os
import re
import time
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from .docker import inspect_container
from .files import read_text
from .layout import ROOT

# Between two samples. A process that waits for WAL polls every five seconds (wal_retrieve_retry_interval).
SAMPLE_SECONDS = 5.0
# A waiting process stays below these: it reads a page again or looks for a file. A slow volume does ten times as much.
BYTES_PER_SECOND = 64 * 1024
REQUESTS_PER_SECOND = 10
PROCESSOR_SHARE = 0.1

# A wait longer than this is reported.
NOTE_SECONDS = 60

TITLE = re.compile(r"^postgres: (?:.*: )?startup(?: +(?:recovering|waiting for) ([0-9A-F]{24}))?")
RECEIVER = re.compile(r"^postgres: (?:.*: )?walreceiver")

# States of proc_pid_stat(5) in which a process waits neither for WAL nor for a lock.
BLOCKED_STATES = {"D": "waits for a disk", "T": "was stopped by a signal", "t": "is held by a debugger"}


# Notes on long waits, returned by the module that runs the step. Each module run is a separate process.
notes: List[str] = []


class Sample(NamedTuple):
    """The startup process and the volume at one moment. A process's counters only grow."""

    pid: Optional[int]
    # Its state, the letter of proc_pid_stat(5).
    state: str
    # The segment that it replays, by name; None before the first and if update_process_title is off.
    segment: Optional[str]
    # CPU time in seconds.
    processor: float
    # Bytes that it read and wrote, including the page cache.
    bytes: int
    # Requests and bytes of the volume.
    requests: int
    volume: int
    # Whether the container has a WAL receiver.
    receives: bool


class Recovery:
    """Watches the recovery of one server. `receives`: it is known to have had a WAL receiver (see has_advanced)."""

    def __init__(self, container: str, receives: bool = False) -> None:
        self._container = container
        self._segments: Set[str] = set()
        self._last: Optional[Tuple[float, Sample]] = None
        self._received = receives
        self._first: Optional[str] = None
        self._latest: Optional[str] = None
        self._begin = time.monotonic()

    def is_advancing(self) -> bool:
        """Takes a sample and returns whether recovery advanced since the previous one. Call it as often as you like: within
        SAMPLE_SECONDS of a sample it returns False."""
        now = time.monotonic()
        if self._last is not None and now < self._last[0] + SAMPLE_SECONDS:
            return False
        sample = take_sample(self._container)
        before = self._last
        self._last = (now, sample)
        self._received = self._received or sample.receives
        is_new = sample.segment is not None and sample.segment not in self._segments
        if sample.segment is not None and is_new:
            self._segments.add(sample.segment)
            self._first = self._first or sample.segment
            self._latest = max(self._latest or "", sample.segment)
        # The first sample shows where recovery is, not that it moves.
        if before is None:
            return False
        if is_new:
            return True
        return has_advanced(before[1], sample, now - before[0], self._received)

    def note(self, what: str) -> None:
        """Adds a note if this took longer than NOTE_SECONDS. `what`: the event that ended it."""
        seconds = time.monotonic() - self._begin
        if seconds < NOTE_SECONDS:
            return
        replayed = "" if self._first is None else ", WAL segments %s to %s replayed" % (self._first, self._latest)
        notes.append("%s after %d s%s" % (what, seconds, replayed))

    @property
    def replayed_bytes(self) -> int:
        """How much WAL was replayed since the first sample, in whole segments."""
        if self._first is None or self._latest is None:
            return 0
        return max(0, locate_segment(self._latest) - locate_segment(self._first))

    @property
    def has_startup_process(self) -> bool:
        """Whether the last sample found a startup process: the server is in recovery, or is a replica."""
        return self._last is not None and self._last[1].pid is not None

    @property
    def blocked_by(self) -> Optional[str]:
        """What blocks the startup process, other than a wait for WAL or a lock; None if nothing does."""
        return None if self._last is None else BLOCKED_STATES.get(self._last[1].state)

    def describe(self) -> str:
        """Says how far recovery is, e.g. `it replays WAL segment …0A; 312 s ago it was at …03`."""
        seconds = time.monotonic() - self._begin
        segment = None if self._last is None else self._last[1].segment
        if segment is None:
            return "no WAL was seen to be replayed within %d s" % seconds
        if segment == self._first:
            return "it replays WAL segment %s, the same as %d s ago" % (segment, seconds)
        return "it replays WAL segment %s; %d s ago it was at %s" % (segment, seconds, self._first)


def locate_segment(name: str) -> int:
    """Returns the position at which a WAL segment begins, from its name. initdb's default size of 16 MiB is assumed: it is
    for a report of progress only."""
    return (int(name[8:16], 16) << 32) + int(name[16:24], 16) * 16 * 1024 * 1024


def has_advanced(before: Sample, after: Sample, seconds: float, received: bool) -> bool:
    """Whether recovery advanced between two samples that are that many seconds apart.

    `received`: the server had a WAL receiver. Then activity of the volume does not count: a server on a diverged timeline
    receives the same segment again and again.
    """
    if before.pid != after.pid:
        return True
    if after.processor - before.processor >= PROCESSOR_SHARE * seconds:
        return True
    if after.bytes - before.bytes >= BYTES_PER_SECOND * seconds:
        return True
    # Without a startup process the volume's activity is that of a running server, even if it refuses connections here.
    if received or after.pid is None:
        return False
    requests, volume = after.requests - before.requests, after.volume - before.volume
    return requests >= REQUESTS_PER_SECOND * seconds or volume >= BYTES_PER_SECOND * seconds


def take_sample(container: str) -> Sample:
    """Samples the processes of a container and the cluster's volume."""
    requests, volume = _read_volume()
    found = inspect_container(container)
    # The pid is 0 if the container does not run.
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
    """Returns {pid: title} of the postmaster's children. `first` is the container's first process: docker-init, the parent
    of the postmaster, or in a container of an earlier version the postmaster itself."""
    parents = {}
    for name in os.listdir("/proc"):
        fields = _read_fields(int(name)) if name.isdigit() else None
        if fields is not None:
            parents[int(name)] = int(fields[1])
    inside = {pid for pid, parent in parents.items() if first in (parent, parents.get(parent))}
    titles = {pid: _read("/proc/%d/cmdline" % pid) or "" for pid in inside}
    return {pid: title.replace("\0", " ").strip() for pid, title in titles.items()}


def _read_fields(pid: int) -> Optional[List[str]]:
    """Returns the fields of proc_pid_stat(5) from the third on: the second, the name, may hold blanks and brackets."""
    text = _read("/proc/%d/stat" % pid)
    return None if text is None else text.rpartition(")")[2].split()


def _read_bytes(pid: int) -> int:
    found = re.findall(r"^[rw]char: (\d+)$", _read("/proc/%d/io" % pid) or "", re.MULTILINE)
    return sum(int(number) for number in found)


def _read_volume() -> Tuple[int, int]:
    """Returns (requests, bytes) completed by the volume's device (Documentation/block/stat.rst; sectors of 512 bytes)."""
    try:
        number = os.stat(ROOT).st_dev
    except OSError:
        return 0, 0
    fields = (_read("/sys/dev/block/%d:%d/stat" % (os.major(number), os.minor(number))) or "").split()
    if len(fields) < 7:
        return 0, 0
    return int(fields[0]) + int(fields[4]), (int(fields[2]) + int(fields[6])) * 512


def _read(path: str) -> Optional[str]:
    """Reads a file; None if its process has ended."""
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return None
