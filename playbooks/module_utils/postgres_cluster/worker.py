"""The program of a unit that makes a node's data, by a copy or from a backup, or verifies it: runs its stages to their end, watches the
disk, and records how they ended.

It starts from a copy of this file (work.py), so it needs neither Ansible nor the connection that started it. It shares the
node with steps that only read what it writes: the state on the volume, which survives a reboot, and the progress.
"""

from __future__ import annotations

import json
import os
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
from .stages import PARSERS, Parser

# Not in layout.py: the guard has a copy of that file, and a change of it would make every existing node outdated.
STATE = ROOT + "/work.json"
RUN = "/run/postgres-cluster"
PROGRESS = RUN + "/progress.json"
# Only for root: the order of the running unit, and its code.
FOLDER = RUN + "/work"
ORDER = FOLDER + "/order.json"

FULL = "No space left on device"


class Stopped(Exception):
    """The unit is to end: a step stopped it, or the machine shuts down."""


class Command:
    """One run of a stage's command. `parser` takes what it prints to stderr. Its input stays open as long as this program runs:
    a command in the server's container, which `docker rm` must not end, ends by that."""

    def __init__(self, arguments: List[str], parser: Parser) -> None:
        self.parser = parser
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self, seconds: float) -> Optional[int]:
        """Returns its exit code; None if it has not ended within that time."""
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(10)
        assert self._process.stdin is not None
        self._process.stdin.close()
        return code

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.parser.take_line(line)


def main() -> None:
    """Does what the order says. SIGTERM removes the container and the partial data, and leaves the state `running`: without
    a unit, that is work that was cut."""
    order = read_json(ORDER)
    signal.signal(signal.SIGTERM, _stop)
    state = read_json(STATE)
    try:
        state.update(run_stages(order, state))
    except Stopped:
        remove_container(order["container"])
        clear(PARTIAL)
        report(order, order["stages"][0], state, Parser({}), working=False)
        return
    if state["state"] == "failed":
        remove_container(order["container"])
        shutil.rmtree(PARTIAL, ignore_errors=True)
    state["ended"] = int(time.time())
    write_state(state)
    ended = Parser({"total": state["total"]})
    ended.done = state["done"]
    report(order, order["stages"][-1], state, ended, working=False)


def _stop(*_: Any) -> None:
    # Once: cleaning up must not be interrupted.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


def run_stages(order: Dict[str, Any], state: Dict[str, Any]) -> Dict[str, Any]:
    """Runs the stages of the order one after the other; returns how they ended, for the state."""
    end: Dict[str, Any] = {}
    for stage in order["stages"]:
        end = {**end, **run_stage(stage, order, state)}
        if end["state"] == "failed":
            return end
    if order["work"] == "verify":
        return end
    # The data is complete, and flushing it may take minutes: a reboot must not delete it now.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        finish(standby=order["work"] == "clone")
    except (OSError, subprocess.CalledProcessError) as error:
        return {**end, "state": "failed", "problem": "%s: %s" % (order["failure"], error)}
    return end


def run_stage(stage: Dict[str, Any], order: Dict[str, Any], state: Dict[str, Any]) -> Dict[str, Any]:
    """Makes the attempts of a stage until one succeeds, or until its parser sees that another one does not help; returns how
    they ended."""
    end: Dict[str, Any] = {}
    for index, arguments in enumerate(stage["attempts"]):
        parser = PARSERS[stage["parser"]](stage)
        if parser.clears:
            clear(PARTIAL)
        remove_container(order["container"])
        state["attempts"] = state.get("attempts", 0) + 1
        write_state(state)
        command = Command(arguments, parser)
        shortage: Optional[str]
        try:
            code, shortage = watch(command, stage, order, state)
        except OSError as error:
            code, shortage = 1, "its volume cannot be measured (%s)" % error
        end = {"done": parser.done, "total": parser.total, "log": parser.log.strip()}
        reason = shortage
        if code == 0 and shortage is None:
            reason = parser.find_fault(index)
            if reason is None:
                return {**end, **parser.describe(index), "state": "done", "problem": None}
        elif shortage is None and FULL in parser.log:
            reason = shortage = describe_shortage(parser)
        elif shortage is None:
            reason = parser.explain()
        problem = order["failure"] if reason is None else "%s: %s" % (order["failure"], reason)
        end.update(state="failed", problem=problem)
        if shortage is not None or code == 0 or not parser.may_try_again(code):
            break
    return end


def watch(
    command: Command, stage: Dict[str, Any], order: Dict[str, Any], state: Dict[str, Any]
) -> Tuple[int, Optional[str]]:
    """Waits for a command and writes its progress; returns its exit code, and why it was ended for lack of space, or
    None."""
    while True:
        code = command.wait(1)
        if code is not None:
            return code, None
        report(order, stage, state, command.parser)
        if order["work"] == "verify":
            continue
        space = measure_space(ROOT)
        if space.free < choose_reserve(space.capacity):
            shortage = describe_shortage(command.parser)
            remove_container(order["container"])
            command.wait(60)
            return 1, shortage


def report(
    order: Dict[str, Any], stage: Dict[str, Any], state: Dict[str, Any], parser: Parser, working: bool = True
) -> None:
    """Writes how far a stage is."""
    started = state["started"]
    write_progress(order["step"], stage["kind"], parser.done, parser.total, started, working, True, parser.reached)


def describe_shortage(parser: Parser) -> str:
    """Says how much was written and how little space is left."""
    space = measure_space(ROOT)
    whole = "" if parser.total is None else " of about %s" % show_bytes(parser.total)
    return "its volume of %s had %s left after %s%s were %s. Make the volume larger, or delete data on it" % (
        show_bytes(space.capacity),
        show_bytes(space.free),
        show_bytes(parser.done),
        whole,
        parser.verb,
    )


def finish(standby: bool) -> None:
    """Makes what was written a replica's data (`standby`) or a primary's, flushed to disk."""
    # An interrupted switchover may have left the mark in the primary's data. It does not apply to the copy.
    for name in (FORMER_PRIMARY, "standby.signal"):
        if os.path.exists("%s/%s" % (PARTIAL, name)):
            os.unlink("%s/%s" % (PARTIAL, name))
    if standby:
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
    step: str,
    kind: str,
    done: int,
    total: Optional[int],
    started: int,
    working: bool = True,
    detached: bool = False,
    reached: Optional[int] = None,
) -> None:
    """Writes how far work is; a watcher reads it. `kind`: copy, restore, recovery, replay or verification; `started`: seconds since the
    epoch; `detached`: a unit works, not a call; `reached`: the time of the last replayed commit, if known."""
    progress: Dict[str, Any] = {"step": step, "kind": kind, "done": done, "total": total, "started": started}
    progress.update(updated=int(time.time()), working=working, detached=detached, reached=reached)
    if not os.path.isdir(RUN):
        os.mkdir(RUN, 0o755)
    write_text(PROGRESS, json.dumps(progress, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
