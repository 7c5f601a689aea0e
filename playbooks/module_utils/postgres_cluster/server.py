"""The PostgreSQL server of a node: its files, its container, and waiting for it."""

from __future__ import annotations

import os
import re
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
from .psql import Session, ask_once
from .spec import Spec, read_limits, read_memory_bytes
from .volume import require_mounted

PORT = 5432
# Crash recovery of a large server takes its time; a server that ends instead is noticed at once.
START_SECONDS = 600
# Without getting on: as long as it replays, a replica is given more.
STREAM_SECONDS = 120
# Longer than a receiver that was refused waits before the next one (wal_retrieve_retry_interval).
SETTLE_SECONDS = 0.6

# The same on a primary, so that nobody has to know which it is.
REPLICATION = """
SELECT json_build_object(
  'recovery', pg_is_in_recovery(),
  'status', (SELECT status FROM pg_stat_wal_receiver),
  'receiver', (SELECT pid FROM pg_stat_wal_receiver),
  'sender', (SELECT sender_host FROM pg_stat_wal_receiver),
  'timeline', (SELECT received_tli FROM pg_stat_wal_receiver),
  'paused', CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() <> 'not paused' ELSE false END,
  'lsn', pg_last_wal_replay_lsn())
"""

# A startup packet (PostgreSQL manual, 55.7): its length, protocol 3.0, names and values.
STARTUP = struct.pack("!ii", 41, 196608) + b"user\0postgres\0database\0postgres\0\0"


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
    """Has the container running; gives whether that took anything.

    One that stands still is made anew where it differs from what would be made today. A server that runs is left
    alone, whatever it was made with: to restart it is a step of its own, which stops it first.
    """
    require_mounted(spec.cluster)
    if not os.path.isdir(DATA):
        raise Problem("%s holds no data; nothing was started" % DATA)
    found = inspect_container(spec.container)
    if is_up(found):
        return False
    arguments = list_arguments(spec, image)
    if found is not None and not is_current(found, arguments):
        remove_container(spec.container)
        found = None
    if found is None:
        run(["docker", "run", "--detach", *arguments], timeout=120)
        return True
    if found["State"]["Restarting"]:
        # Docker waits longer from one attempt to the next, and a start meanwhile does nothing.
        run(["docker", "stop", spec.container], timeout=120)
    run(["docker", "start", spec.container], timeout=120)
    return True


def find_unread(loaded: float) -> bool:
    """Whether a configuration file was put in its place after the server last read it, at `loaded` (epoch).

    The time of the rename counts, not that of the text: a server may have read its files in between.
    """
    paths = ["%s/%s" % (ETC, name) for name in (CONF, HBA)]
    return any(os.path.exists(path) and os.stat(path).st_ctime > loaded for path in paths)


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


def is_accepting(address: str = "127.0.0.1", timeout: float = 2) -> bool:
    """Whether the server takes connections, asked the way pg_isready does and over TCP (trap 3).

    A startup packet is answered with a request to authenticate by a server that
    is up, and with an error 57P03 by one that is still starting; any other error comes from one that is up.
    """
    try:
        with socket.create_connection((address, PORT), timeout) as connection:
            connection.sendall(STARTUP)
            answer = connection.recv(512)
    except OSError:
        return False
    return answer[:1] == b"R" or (answer[:1] == b"E" and b"C57P03\0" not in answer)


def wait_until_ready(spec: Spec) -> None:
    """Waits until the server takes connections. Raises Problem with its own last words when it ends."""
    deadline = time.monotonic() + START_SECONDS
    _wait(spec, lambda: is_accepting(), lambda: deadline, "does not accept connections")


def read_role(spec: Spec) -> Optional[str]:
    """`primary` or `replica`, as the server itself says; None when it does not answer."""
    if not is_up(inspect_container(spec.container)):
        return None
    answer = ask_once(spec.container, "SELECT to_json(pg_is_in_recovery())")
    return None if answer is None else "replica" if answer else "primary"


def require_role(spec: Spec, role: Optional[str] = None) -> None:
    """Raises Problem when the running server is not what the step takes the node for; nothing was done then."""
    role = role or read_role(spec)
    expected = "primary" if spec.is_primary else "replica"
    if role is None or role == expected:
        return
    if role == "primary":
        raise Problem(
            "%s takes writes of its own, though %s is to be the primary: nothing was changed on it. "
            "Look at the cluster again" % (spec.node, spec.primary)
        )
    raise Problem("%s is in recovery, so it is not the primary; look at the cluster again" % spec.node)


def wait_until_streaming(
    spec: Spec, session: Optional[Session] = None, seconds: float = STREAM_SECONDS
) -> None:
    """Waits until a replica receives the primary's changes and replays them: an open port alone says nothing
    (trap 23). One that replays what it has already is given time for as long as it gets on."""
    reached: List[Any] = []
    deadline = time.monotonic() + seconds
    followed: Dict[int, float] = {}

    def is_there() -> bool:
        nonlocal deadline
        state = read_replication(spec, session)
        if state is not None and is_following(spec, state):
            # A receiver says that it streams before the primary has let it: one that lasts was let.
            now = time.monotonic()
            return now - followed.setdefault(state["receiver"], now) > SETTLE_SECONDS
        if state is not None and state["lsn"] not in reached:
            reached[:] = [state["lsn"]]
            deadline = time.monotonic() + seconds
        return False

    _wait(spec, is_there, lambda: deadline, "does not receive its primary's changes")


def read_replication(spec: Spec, session: Optional[Session] = None) -> Optional[Dict[str, Any]]:
    """What the server says of the replication it receives; None when it does not answer."""
    return session.ask(REPLICATION) if session is not None else ask_once(spec.container, REPLICATION)


def is_following(spec: Spec, state: Optional[Dict[str, Any]]) -> bool:
    """Whether a replica's receiver streams from the step's primary and its replay is not paused.

    One whose data went another way streams as well, for a moment and again and again: up to the end of its own
    timeline. By then it has the history of the primary's, which it will never be on.
    """
    if state is None or not state["recovery"] or state["paused"] or state["status"] != "streaming":
        return False
    if (state["timeline"] or 0) < find_newest_timeline():
        return False
    return spec.primary_address in (None, state["sender"])


def find_newest_timeline() -> int:
    """The latest timeline that the data has heard of, by the history files beside its WAL; 1 has none."""
    names = os.listdir(DATA + "/pg_wal")
    found = [int(name[:8], 16) for name in names if re.match(r"^[0-9A-F]{8}\.history$", name)]
    return max(found, default=1)


def _wait(spec: Spec, is_there: Callable[[], bool], deadline: Callable[[], float], lack: str) -> None:
    start = time.monotonic()
    pause = 0.02
    restarts = None
    while not is_there():
        found: Optional[Dict[str, Any]] = inspect_container(spec.container)
        if found is not None and restarts is None:
            restarts = found["RestartCount"]
        if found is None or not is_up(found) or found["RestartCount"] != restarts:
            raise Problem("PostgreSQL on %s ended while it started" % spec.node, read_log(spec.container))
        if time.monotonic() > deadline():
            seconds = time.monotonic() - start
            raise Problem(
                "PostgreSQL on %s %s after %d s" % (spec.node, lack, seconds), read_log(spec.container)
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 1)
