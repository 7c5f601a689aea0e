"""The program of a copy's unit: runs the copy on a node to its end, watches the disk, and records how it ended.

It starts from a copy of this file (work.py), so it needs neither Ansible nor the connection that started it. It shares the
node with steps that only read what it writes: the state on the volume, which survives a reboot, and the progress.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

from .files import read_json, sync_directory, write_text
from .layout import FORMER_PRIMARY, PARTIAL, ROOT
from .sizes import MIB, measure_space, show_bytes

# Not in layout.py: the guard has a copy of that file, and a change of it would make every existing node outdated.
STATE = ROOT + "/work.json"
RUN = "/run/postgres-cluster"
PROGRESS = RUN + "/progress.json"
# Only for root: the order of the running unit, and its code.
FOLDER = RUN + "/work"
ORDER = FOLDER + "/order.json"

# `  123456/234567 kB (52%), 0/1 tablespace` (progress_report in pg_basebackup.c).
REPORT = re.compile(r"^\s*(\d+)/(\d+) kB \(")
# Exit code of the script if the primary or the source is not what it is to be. Another attempt would end the same way.
UNFIT = 3
LOG_CHARACTERS = 4000
FULL = "No space left on device"


class Stopped(Exception):
    """The unit is to end: a step stopped it, or the machine shuts down."""


class Copy:
    """One run of pg_basebackup. `done` and `total` are bytes, `log` its last messages."""

    def __init__(self, arguments: List[str]) -> None:
        self.done = 0
        self.total: Optional[int] = None
        self.log = ""
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def take_line(self, line: str) -> None:
        """Takes a line that it printed."""
        match = REPORT.match(line)
        if match is None:
            self.log = (self.log + line)[-LOG_CHARACTERS:]
        else:
            self.done, total = int(match.group(1)) * 1024, int(match.group(2)) * 1024
            # The estimate is made before the copy: the database may have grown since.
            self.total = max(total, self.done)

    def wait(self, seconds: float) -> Optional[int]:
        """Returns its exit code; None if it has not ended within that time."""
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(10)
        return code

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.take_line(line)


def main() -> None:
    """Does what the order says. SIGTERM removes the container and the partial copy, and leaves the state `running`: without
    a unit, that is work that was cut."""
    order = read_json(ORDER)
    signal.signal(signal.SIGTERM, _stop)
    state = read_json(STATE)
    try:
        state.update(run_copy(order, state))
    except Stopped:
        remove_container(order["container"])
        clear(PARTIAL)
        write_progress(order["step"], "copy", 0, None, state["started"], working=False)
        return
    if state["state"] == "failed":
        remove_container(order["container"])
        shutil.rmtree(PARTIAL, ignore_errors=True)
    state["ended"] = int(time.time())
    write_state(state)
    write_progress(order["step"], "copy", state["done"], state["total"], state["started"], working=False)


def _stop(*_: Any) -> None:
    # Once: cleaning up must not be interrupted.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


def run_copy(order: Dict[str, Any], state: Dict[str, Any]) -> Dict[str, Any]:
    """Makes the attempts of the order until one succeeds; returns how they ended, for the state.

    The next attempt follows only if the previous one ended before it copied anything: it asks for a compression that one
    side does not support, in an error message of any language.
    """
    end: Dict[str, Any] = {}
    for arguments in order["attempts"]:
        clear(PARTIAL)
        remove_container(order["container"])
        state["attempts"] = state.get("attempts", 0) + 1
        write_state(state)
        copy = Copy(arguments)
        shortage: Optional[str]
        try:
            code, shortage = watch(copy, order, state)
        except OSError as error:
            code, shortage = 1, "its volume cannot be measured (%s)" % error
        end = {"done": copy.done, "total": copy.total, "log": copy.log.strip()}
        if code == 0 and shortage is None:
            # The copy is complete, and flushing it may take minutes: a reboot must not delete it now.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            try:
                finish()
            except (OSError, subprocess.CalledProcessError) as error:
                return {**end, "state": "failed", "problem": "%s: %s" % (order["failure"], error)}
            return {**end, "state": "done", "problem": None}
        problem = order["failure"]
        if shortage is None and FULL in copy.log:
            shortage = describe_shortage(copy)
        if shortage is not None:
            problem = "%s: %s" % (problem, shortage)
        end.update(state="failed", problem=problem)
        if shortage is not None or copy.done > 0 or code == UNFIT:
            break
    return end


def watch(copy: Copy, order: Dict[str, Any], state: Dict[str, Any]) -> Tuple[int, Optional[str]]:
    """Waits for a copy and writes its progress; returns its exit code, and why it was ended for lack of space, or None."""
    while True:
        code = copy.wait(1)
        if code is not None:
            return code, None
        write_progress(order["step"], "copy", copy.done, copy.total, state["started"])
        space = measure_space(ROOT)
        if space.free < choose_reserve(space.capacity):
            shortage = describe_shortage(copy)
            remove_container(order["container"])
            copy.wait(60)
            return 1, shortage


def describe_shortage(copy: Copy) -> str:
    """Says how much of the copy was written and how little space is left."""
    space = measure_space(ROOT)
    whole = "" if copy.total is None else " of about %s" % show_bytes(copy.total)
    return "its volume of %s had %s left after %s%s were copied. Make the volume larger, or delete data on it" % (
        show_bytes(space.capacity),
        show_bytes(space.free),
        show_bytes(copy.done),
        whole,
    )


def finish() -> None:
    """Makes the copy a replica's data, flushed to disk."""
    # An interrupted switchover may have left the mark in the primary's data. It does not apply to the copy.
    mark = "%s/%s" % (PARTIAL, FORMER_PRIMARY)
    if os.path.exists(mark):
        os.unlink(mark)
    # -R would also write the connection into the data. Ours is in postgresql.conf, where the next run can change it.
    status = os.stat(PARTIAL)
    write_text(PARTIAL + "/standby.signal", "", 0o600, (status.st_uid, status.st_gid))
    subprocess.run(["sync", "--file-system", PARTIAL], check=True, stderr=subprocess.DEVNULL)


def clear(directory: str) -> None:
    """Deletes what a directory holds. It keeps its owner and its mode."""
    if not os.path.isdir(directory):
        return
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
    sync_directory(directory)


def remove_container(name: str) -> None:
    """Kills and removes a container, if it exists."""
    command = ["docker", "rm", "--force", "--volumes", name]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)


def choose_reserve(capacity: int) -> int:
    """Returns how many bytes of a file system a copy leaves free: one per cent, between 64 and 256 MiB. The old data starts
    again on this volume if the copy fails."""
    return min(max(capacity // 100, 64 * MIB), 256 * MIB)


def write_state(state: Dict[str, Any]) -> None:
    """Writes the state of the work, flushed to disk. It holds no secret."""
    write_text(STATE, json.dumps(state, sort_keys=True, indent=2) + "\n")


def write_progress(
    step: str, kind: str, done: int, total: Optional[int], started: int, working: bool = True
) -> None:
    """Writes how far work is; a watcher reads it. `kind`: copy, recovery or replay; `started`: seconds since the epoch."""
    progress = {"step": step, "kind": kind, "done": done, "total": total, "started": started}
    progress.update(updated=int(time.time()), working=working)
    if not os.path.isdir(RUN):
        os.mkdir(RUN, 0o755)
    write_text(PROGRESS, json.dumps(progress, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
