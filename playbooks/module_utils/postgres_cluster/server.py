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
from .control import parse_lsn
from .docker import inspect_container, read_log, remove_container, set_aside
from .files import make_directory, write_text
from .image import Image
from .layout import CONF, DATA, ETC, HBA, PASSFILE, REPLICATION_USER
from .psql import Session, ask_once
from .recovery import Recovery
from .spec import Spec, is_wanted, read_limits, read_memory_bytes
from .volume import require_mounted

PORT = 5432
# How long a server that starts may stand still. Crash recovery has no limit as long as it gets on; a server that ends
# instead is noticed at once.
STANDSTILL_SECONDS = 600
# The same of a replica that takes connections already.
STREAM_SECONDS = 120
# So long a wait may at least last, also if another run wants the node: the next run takes the lock within two minutes.
YIELD_SECONDS = 30
# How often the log of a server that starts is kept, as it goes with a container that somebody removes.
LOG_SECONDS = 5
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
  -- Where the primary's WAL ended as the sender last told it.
  'end', (SELECT latest_end_lsn FROM pg_stat_wal_receiver),
  'received', pg_last_wal_receive_lsn(),
  'paused', CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() <> 'not paused' ELSE false END,
  'lsn', pg_last_wal_replay_lsn())
"""

# What a server says whose primary no longer has the WAL that it lacks, or has gone another way: it waits for ever
# (walsender.c, xlogrecovery.c).
LOST = re.compile("has already been removed|is not in this server's history|forked off current database system timeline")
# A startup packet (PostgreSQL manual, 55.7): its length, protocol 3.0, names and values.
STARTUP = struct.pack("!ii", 41, 196608) + b"user\0postgres\0database\0postgres\0\0"


class StillStarting(Problem):
    """The server has not come up, and has not ended either: nothing may stop it, or put a copy in its place."""


class Ended(Problem):
    """The server ended while it started."""


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


def name_aside(spec: Spec) -> str:
    """The name of the container that the node ran before the one it has now, as long as that has not come up."""
    return spec.container + "-before"


def ensure_container(spec: Spec, image: Image, keep: bool = False) -> bool:
    """Has the container running; gives whether that took anything.

    One that stands still is made anew where it differs from what would be made today; with `keep` it is set aside. A
    server that runs is left alone, whatever it was made with: to restart it is a step of its own, which stops it first.
    """
    require_mounted(spec.cluster)
    if not os.path.isdir(DATA):
        raise Problem("%s holds no data; nothing was started" % DATA)
    found = inspect_container(spec.container)
    if is_up(found):
        return False
    arguments = list_arguments(spec, image)
    if found is not None and not is_current(found, arguments):
        if found["State"]["Restarting"] and keep:
            run(["docker", "stop", spec.container], timeout=120)
        if keep:
            set_aside(spec.container, name_aside(spec))
        else:
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
    """Waits until the server takes connections, for as long as its recovery gets on.

    Raises StillStarting when that stands still, and Ended with the server's own last words.
    """
    recovery = Recovery(spec.container)

    def explain(seconds: float) -> Problem:
        if not recovery.is_there:
            return Problem("PostgreSQL on %s does not accept connections after %d s" % (spec.node, seconds))
        return StillStarting(
            "PostgreSQL on %s is still starting: %s, and nothing has moved for %d s. It was left running, and its data as "
            "it is. Look at the node's volume and at the server's log, and run again, which goes on waiting"
            % (spec.node, recovery.describe(), STANDSTILL_SECONDS)
        )

    _wait(spec, is_accepting, recovery.look, STANDSTILL_SECONDS, explain)
    recovery.note("PostgreSQL on %s took connections" % spec.node)


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
    spec: Spec, session: Optional[Session] = None, seconds: Optional[float] = None, catch_up: bool = False
) -> None:
    """Waits until a replica receives the primary's changes and replays them: an open port alone says nothing
    (trap 23). One that gets on with what it has already, or receives, is given time for as long as it does; `seconds`
    is how long it may stand still. With `catch_up` it also waits until the replica has replayed what its primary had
    written when it began to stream.

    Raises StillStarting where its replay hangs, and Problem where it does not follow.
    """
    limit = STREAM_SECONDS if seconds is None else seconds
    recovery = Recovery(spec.container, receives=True)
    follow = Following(spec, catch_up)

    def explain(after: float) -> Problem:
        if recovery.held is not None:
            return StillStarting(
                "replay on %s hangs: its startup process %s, and nothing has moved for %d s. It was left running, and its "
                "data as it is. Look at the node's volume, and run again" % (spec.node, recovery.held, limit)
            )
        if follow.target is not None:
            return Problem(
                "PostgreSQL on %s follows its primary, but is %d bytes behind and has replayed nothing for %d s; its data "
                "is left as it is" % (spec.node, follow.target - follow.replayed, limit)
            )
        return Problem("PostgreSQL on %s does not receive its primary's changes after %d s" % (spec.node, after))

    def is_moving() -> bool:
        moved, busy = follow.take_moved(), recovery.look()
        # One that lets nobody in may replay for ever.
        return moved or (busy and follow.answers)

    _wait(spec, lambda: follow.take(read_replication(spec, session)), is_moving, limit, explain)
    recovery.note("%s %s its primary" % (spec.node, "had caught up with" if catch_up else "followed"))


class Following:
    """How far a replica has come, by what it says of its replication. `target`: the end of its primary's WAL when it
    began to stream, where it is waited for."""

    def __init__(self, spec: Spec, catch_up: bool) -> None:
        self._spec = spec
        self._catch_up = catch_up
        self._since: Dict[int, float] = {}
        self._moved = False
        self.answers = False
        self.replayed = 0
        self.target: Optional[int] = None

    def take(self, state: Optional[Dict[str, Any]]) -> bool:
        """Whether it is there, by this answer; None is no answer."""
        self.answers = state is not None
        if state is None:
            return False
        # Not what it receives: as long as the primary writes, that grows beside a replay that is paused or hangs.
        replayed = parse_lsn(state["lsn"] or "0/0")
        self._moved = self._moved or replayed > self.replayed
        self.replayed = max(replayed, self.replayed)
        if not is_following(self._spec, state):
            return False
        # A receiver says that it streams before the primary has let it: one that lasts was let.
        now = time.monotonic()
        if now - self._since.setdefault(state["receiver"], now) <= SETTLE_SECONDS:
            return False
        if not self._catch_up:
            return True
        if self.target is None:
            # No word of the sender yet: it had nothing to send.
            self.target = parse_lsn(state["end"] or state["received"] or "0/0")
        return self.replayed >= self.target

    def take_moved(self) -> bool:
        """Whether it replayed anything since this was last asked."""
        moved, self._moved = self._moved, False
        return moved


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


def _wait(
    spec: Spec,
    is_there: Callable[[], bool],
    is_moving: Callable[[], bool],
    limit: float,
    explain: Callable[[float], Problem],
) -> None:
    """Waits until `is_there`, for as long as `is_moving` says so at least once within `limit` seconds; then raises what
    `explain` makes of the seconds that went by. Raises Ended when the server ends."""
    start = moved = kept = time.monotonic()
    pause = 0.02
    begun: Optional[str] = None
    log = ""
    while not is_there():
        found: Optional[Dict[str, Any]] = inspect_container(spec.container)
        if found is not None and begun is None:
            begun = found["State"]["StartedAt"]
        if found is None or not is_up(found) or found["State"]["StartedAt"] != begun:
            # From the beginning of the attempt that ended: Docker may have begun another one by now.
            words = read_log(spec.container, since=begun) or log
            raise Ended("PostgreSQL on %s ended while it started" % spec.node, words)
        now = time.monotonic()
        if now > kept + LOG_SECONDS:
            kept, log = now, read_log(spec.container)
        if now > start + YIELD_SECONDS and is_wanted():
            raise StillStarting(
                "another run came to work on %s, so this one stopped waiting there; nothing was changed by that" % spec.node
            )
        if is_moving():
            moved = now
        if now > moved + limit:
            problem = explain(now - start)
            problem.log = read_log(spec.container)
            raise problem
        time.sleep(pause)
        pause = min(pause * 1.5, 1)
