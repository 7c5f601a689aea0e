"""Keeps an archive that does not answer from holding a shutdown. A server that is stopped archives once more what waits,
after its shutdown checkpoint (PostmasterStateMachine in postmaster.c): three attempts per file, each of up to a minute,
while no client is served. The WAL stays on the volume and is archived later."""

from __future__ import annotations

import os
import signal
import time
from typing import List

from .archive_push import STOPPING, is_archiving
from .backup_layout import TOOLS
from .command import Problem, run
from .container import STOP_SECONDS
from .docker import inspect_container

# A stop that never comes: archiving goes on by itself.
HOLD_SECONDS = STOP_SECONDS + 60


def hold_archiving(container: str) -> None:
    """Makes a running server archive nothing more until it has been stopped, for HOLD_SECONDS at most, and ends an attempt
    under way. Does nothing without backups."""
    if not is_archiving():
        return
    until = str(int(time.time()) + HOLD_SECONDS)
    try:
        # As the server's user: the directory is open to everyone in the container, so root does not write there.
        run(["docker", "exec", container, "sh", "-c", 'echo "$1" > "$2"', "sh", until, STOPPING], check=False, timeout=20)
    except Problem:
        return
    found = inspect_container(container)
    if found is not None:
        interrupt_push(int(found["State"]["Pid"]))


def interrupt_push(pid: int) -> int:
    """Ends the attempts of pgBackRest to archive a file in the container whose first process is `pid`; returns how many
    there were. What it does in the background may go on. Does nothing without backups."""
    if not is_archiving():
        return 0
    found = [other for other in _list_pushes(pid) if _signal(other)]
    return len(found)


def _list_pushes(pid: int) -> List[int]:
    try:
        namespace = os.readlink("/proc/%d/ns/pid" % pid)
    except OSError:
        return []
    return [other for other in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_push(other, namespace)]


def _is_push(pid: int, namespace: str) -> bool:
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            words = file.read().decode("utf-8", "replace").split("\0")
        # The one in the background has another word: `archive-push:async`.
        return (
            "archive-push" in words
            and any(word.startswith(TOOLS + "/") and word.endswith("/pgbackrest.bin") for word in words)
            and os.readlink("/proc/%d/ns/pid" % pid) == namespace
        )
    except OSError:
        return False


def _signal(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    return True
