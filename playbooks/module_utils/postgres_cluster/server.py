"""The PostgreSQL server of a node: its files, its container, and waiting for it."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any, Callable, Dict, List, Optional

from .command import Problem, run
from .container import STOP_SECONDS, is_current, list_container_arguments
from .docker import inspect_container, read_log, remove_container
from .files import make_directory, write_text
from .image import Image
from .layout import CONF, DATA, ETC, HBA, PASSFILE, REPLICATION_USER
from .psql import ask_once
from .spec import Spec, read_limits, read_memory_bytes
from .volume import require_mounted

PORT = 5432
# Crash recovery of a large server takes its time; a server that ends instead is noticed at once.
START_SECONDS = 600
STREAM_SECONDS = 120


def write_files(spec: Spec, image: Image) -> List[str]:
    """Writes the configuration beside the data; gives the names of the files that changed."""
    make_directory(ETC)
    changed = [
        name
        for name, text in ((CONF, spec.conf), (HBA, spec.hba))
        if write_text("%s/%s" % (ETC, name), text)
    ]
    if write_passfile(spec, image):
        changed.append(PASSFILE)
    return changed


def write_passfile(spec: Spec, image: Image) -> bool:
    """Trap 19: the replication password lies in a file only PostgreSQL's user reads, on every node, as
    every node may come to follow another. Gives whether it changed."""
    if spec.replication_password is None:
        return False
    make_directory(ETC)
    return write_text(
        "%s/%s" % (ETC, PASSFILE), render_passfile(spec.replication_password), 0o600, image.owner
    )


def render_passfile(password: str) -> str:
    """One line for every host (PostgreSQL manual, 32.16 "The Password File")."""
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    return "*:*:*:%s:%s\n" % (REPLICATION_USER, escaped)


def list_arguments(spec: Spec, image: Image) -> List[str]:
    """The arguments of the node's container as it would be made today."""
    return list_container_arguments(spec.cluster, image, read_memory_bytes(), read_limits())


def ensure_container(spec: Spec, image: Image) -> bool:
    """Has the container running as it would be made today; gives whether that took anything.

    Re-creates one that differs, so call it for a running server only where a restart is the step.
    """
    require_mounted(spec.cluster)
    if not os.path.isdir(DATA):
        raise Problem("%s holds no data; nothing was started" % DATA)
    arguments = list_arguments(spec, image)
    found = inspect_container(spec.container)
    if found is not None and not is_current(found, arguments):
        stop(spec)
        remove_container(spec.container)
        found = None
    if found is None:
        run(["docker", "run", "--detach", *arguments], timeout=120)
        return True
    if is_up(found):
        return False
    if found["State"]["Restarting"]:
        # Docker waits longer from one attempt to the next, and a start meanwhile does nothing.
        run(["docker", "stop", spec.container], timeout=120)
    run(["docker", "start", spec.container], timeout=120)
    return True


def is_up(found: Optional[Dict[str, Any]]) -> bool:
    """Whether a container that Docker describes runs, and is not between two attempts to."""
    return found is not None and found["State"]["Running"] and not found["State"]["Restarting"]


def stop(spec: Spec) -> bool:
    """Shuts the server down: fast, but with all the time it needs (trap 9); gives whether it ran."""
    if not is_up(inspect_container(spec.container)):
        return False
    # What a checkpoint writes now, the shutdown need not write while nobody is served.
    ask_once(spec.container, "SET client_min_messages = error; CHECKPOINT; SELECT 'null'", STOP_SECONDS)
    run(["docker", "stop", "--time", str(STOP_SECONDS), spec.container], timeout=STOP_SECONDS + 60)
    return True


def is_accepting(timeout: float = 2) -> bool:
    """Whether the server takes connections, asked the way pg_isready does and over TCP (trap 3).

    A startup packet (PostgreSQL manual, 55.7) is answered with a request to authenticate by a server that
    is up, and with an error 57P03 by one that is still starting; any other error comes from one that is up.
    """
    packet = struct.pack("!i", 196608) + b"user\0postgres\0database\0postgres\0\0"
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout) as connection:
            connection.sendall(struct.pack("!i", len(packet) + 4) + packet)
            answer = connection.recv(512)
    except OSError:
        return False
    return answer[:1] == b"R" or (answer[:1] == b"E" and b"C57P03\0" not in answer)


def wait_until_ready(spec: Spec) -> None:
    """Waits until the server takes connections. Raises Problem with its own last words when it ends."""
    _wait(spec, is_accepting, START_SECONDS, "does not accept connections")


def wait_until_streaming(spec: Spec) -> None:
    """Waits until a replica receives the primary's changes: an open port alone says nothing (trap 23)."""
    _wait(spec, lambda: is_streaming(spec), STREAM_SECONDS, "does not receive its primary's changes")


def is_streaming(spec: Spec) -> bool:
    """Whether this replica's receiver is streaming and its replay not paused."""
    state = ask_once(
        spec.container,
        "SELECT CASE WHEN pg_is_in_recovery() THEN json_build_array("
        "(SELECT status FROM pg_stat_wal_receiver), pg_get_wal_replay_pause_state()) ELSE 'null' END",
    )
    return state == ["streaming", "not paused"]


def _wait(spec: Spec, is_there: Callable[[], bool], seconds: float, lack: str) -> None:
    deadline = time.monotonic() + seconds
    pause = 0.02
    restarts = None
    while not is_there():
        found: Optional[Dict[str, Any]] = inspect_container(spec.container)
        if found is not None and restarts is None:
            restarts = found["RestartCount"]
        if found is None or not is_up(found) or found["RestartCount"] != restarts:
            raise Problem("PostgreSQL on %s ended while it started" % spec.node, read_log(spec.container))
        if time.monotonic() > deadline:
            raise Problem(
                "PostgreSQL on %s %s after %d s" % (spec.node, lack, seconds), read_log(spec.container)
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 1)
