"""The PostgreSQL server of a node: its files, its container, and waiting for it."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from .archive_stop import hold_archiving
from .backup_layout import SPOOL, TOOLS
from .cipher import give_conf
from .command import Pending, Problem, run
from .container import STOP_SECONDS, is_current, list_container_arguments
from .docker import inspect_container, read_log, remove_container, set_aside
from .files import make_directory, write_text
from .image import Image
from .layout import CONF, DATA, ETC, HBA, PASSFILE, REPLICATION_USER
from .lsn import parse_lsn
from .progress import Report
from .psql import Session, ask_once
from .recovery import Recovery
from .spec import Spec, has_waiting_run, read_limits, read_memory_bytes
from .volume import require_mounted

PORT = 5432
# How long a starting server may stall. Crash recovery has no limit while it advances, and a server that ends is noticed
# at once.
STALL_SECONDS = 600
# The same for a replica that already accepts connections.
STREAM_SECONDS = 120
# The minimum length of a wait, even if another run wants the node: that run tries for two minutes to get the lock.
YIELD_SECONDS = 30
# How often the log of a starting server is saved: if the container is removed, its log is lost.
LOG_SECONDS = 5
# How long a receiver must last to count. Longer than the pause after a refused one (wal_retrieve_retry_interval).
SETTLE_SECONDS = 0.6

# Works on a primary as well, so that the role need not be known.
REPLICATION = """
SELECT json_build_object(
  'recovery', pg_is_in_recovery(),
  'status', (SELECT status FROM pg_stat_wal_receiver),
  'receiver', (SELECT pid FROM pg_stat_wal_receiver),
  'sender', (SELECT sender_host FROM pg_stat_wal_receiver),
  'timeline', (SELECT received_tli FROM pg_stat_wal_receiver),
  -- The end of the primary's WAL, as the sender last reported it.
  'end', (SELECT latest_end_lsn FROM pg_stat_wal_receiver),
  'received', pg_last_wal_receive_lsn(),
  'paused', CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() <> 'not paused' ELSE false END,
  'lsn', pg_last_wal_replay_lsn())
"""

# Log messages of a replica that can never follow its primary: the WAL it needs was removed, or the timelines have diverged
# (walsender.c, xlogrecovery.c).
LOST = re.compile("has already been removed|is not in this server's history|forked off current database system timeline")
# A StartupMessage (PostgreSQL manual, 54.7 "Message Formats"): its length, protocol 3.0, names and values.
STARTUP = struct.pack("!ii", 41, 196608) + b"user\0postgres\0database\0postgres\0\0"


class StillStarting(Problem):
    """The server is neither up nor ended. It must not be stopped, nor its data replaced by a clone."""


class Ended(Problem):
    """The server ended while it started."""


def write_files(spec: Spec, image: Image) -> List[str]:
    """Writes the configuration files; returns the names of those that changed."""
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
    """Writes the file with the replication password; returns whether it changed. Only PostgreSQL's user can read it; in
    primary_conninfo or a command line others could. Every node has it, as any may become a replica."""
    if spec.replication_password is None:
        return False
    make_directory(ETC)
    return write_text(
        "%s/%s" % (ETC, PASSFILE), render_passfile(spec.replication_password), 0o600, image.owner
    )


def render_passfile(password: str) -> str:
    """Returns a passfile with one line that matches every host (PostgreSQL manual, 32.16 "The Password File")."""
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    return "*:*:*:%s:%s\n" % (REPLICATION_USER, escaped)


def list_arguments(spec: Spec, image: Image) -> List[str]:
    """Returns the arguments that the node's container would be created with now."""
    return list_container_arguments(spec.cluster, image, read_memory_bytes(), read_limits())


def name_aside(spec: Spec) -> str:
    """Returns the name of the node's previous container, which is kept until the current one is up."""
    return spec.container + "-before"


def ensure_container(spec: Spec, image: Image, keep: bool = False) -> bool:
    """Starts the container unless it runs; returns whether it was started.

    A stopped container is recreated if its arguments have changed; with `keep` the old one is set aside. A running server
    is left alone, even if its arguments have changed: the restart step stops it first.
    """
    require_mounted(spec.cluster)
    if not os.path.isdir(DATA):
        raise Problem("%s holds no data; nothing was started" % DATA)
    found = inspect_container(spec.container)
    if is_up(found):
        return False
    make_mount_points(image)
    give_conf(image.owner)
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
        # Docker doubles the delay between attempts, and `docker start` has no effect during it.
        run(["docker", "stop", spec.container], timeout=120)
    run(["docker", "start", spec.container], timeout=120)
    return True


def make_mount_points(image: Image) -> None:
    """Creates the directories that the container mounts and that may be empty."""
    make_directory(TOOLS)
    make_directory(SPOOL, 0o700, image.owner)


def find_unread(loaded: float) -> bool:
    """Whether a configuration file was renamed into place after the server last loaded its files, at `loaded` (epoch).

    The ctime is that of the rename. The mtime is earlier, and the server may have loaded its files in between.
    """
    paths = ["%s/%s" % (ETC, name) for name in (CONF, HBA)]
    return any(os.path.exists(path) and os.stat(path).st_ctime > loaded for path in paths)


def is_up(found: Optional[Dict[str, Any]]) -> bool:
    """Whether a container, as inspected by Docker, runs and is not waiting for its next restart."""
    return found is not None and found["State"]["Running"] and not found["State"]["Restarting"]


def stop(spec: Spec) -> bool:
    """Shuts the server down in fast mode; returns whether it was running. Docker's default timeout of 10 s would kill it
    during its shutdown checkpoint, so it gets STOP_SECONDS."""
    if not is_up(inspect_container(spec.container)):
        return False
    # Shortens the shutdown checkpoint, during which no client is served.
    ask_once(spec.container, "SET client_min_messages = error; CHECKPOINT; SELECT 'null'", STOP_SECONDS)
    # Its WAL stays on the volume, and is archived once it runs again.
    hold_archiving(spec.container)
    run(["docker", "stop", "--time", str(STOP_SECONDS), spec.container], timeout=STOP_SECONDS + 60)
    return True


def is_accepting(address: str = "127.0.0.1", timeout: float = 2) -> bool:
    """Whether the server accepts connections, checked as pg_isready does, and over TCP, as replicas and clients connect.

    A server that is up answers a StartupMessage with an authentication request or an error; one that is still starting
    answers with error 57P03.
    """
    try:
        with socket.create_connection((address, PORT), timeout) as connection:
            connection.sendall(STARTUP)
            answer = connection.recv(512)
    except OSError:
        return False
    return answer[:1] == b"R" or (answer[:1] == b"E" and b"C57P03\0" not in answer)


def wait_until_ready(spec: Spec) -> None:
    """Waits until the server accepts connections, without a limit while its recovery advances.

    Raises StillStarting if recovery stalls, Ended, with the last lines of the server's log, if the server ends, and Pending
    if recovery advances after `spec.deadline`.
    """
    recovery = Recovery(spec.container)

    def explain(seconds: float) -> Problem:
        if not recovery.has_startup_process:
            return Problem("PostgreSQL on %s does not accept connections after %d s" % (spec.node, seconds))
        return StillStarting(
            "PostgreSQL on %s is still starting: %s, and nothing has moved for %d s. It was left running, and its data "
            "unchanged. Check the node's volume and the server's log, and run again to continue waiting"
            % (spec.node, recovery.describe(), STALL_SECONDS)
        )

    report = Report(spec, "recovery", lambda: (recovery.replayed_bytes, None))
    _wait(spec, is_accepting, recovery.is_advancing, STALL_SECONDS, explain, report)
    recovery.note("PostgreSQL on %s accepted connections" % spec.node)


def read_role(spec: Spec) -> Optional[str]:
    """Returns the running server's role, `primary` or `replica`; None if it does not answer."""
    if not is_up(inspect_container(spec.container)):
        return None
    answer = ask_once(spec.container, "SELECT to_json(pg_is_in_recovery())")
    return None if answer is None else "replica" if answer else "primary"


def require_role(spec: Spec, role: Optional[str] = None) -> None:
    """Raises Problem if the running server does not have the role that the step expects; nothing has been done then."""
    role = role or read_role(spec)
    expected = "primary" if spec.is_primary else "replica"
    if role is None or role == expected:
        return
    if role == "primary":
        raise Problem(
            "%s takes writes of its own, though %s is to be the primary: nothing was changed on it. "
            "The cluster has changed since it was observed: run again" % (spec.node, spec.primary)
        )
    raise Problem(
        "%s is in recovery, so it is not the primary: the cluster has changed since it was observed, run again" % spec.node
    )


def wait_until_streaming(
    spec: Spec, session: Optional[Session] = None, seconds: Optional[float] = None, catch_up: bool = False
) -> None:
    """Waits until a replica receives the primary's changes and replays them. An open port proves neither, as a replica whose
    settings are below its primary's accepts connections with replay paused (PostgreSQL manual, 26.4.3). Waits for as long
    as replay advances; `seconds` is how long it may stall. With `catch_up`, also waits until the replica has replayed what
    its primary had written when it began to stream.

    Raises StillStarting if replay hangs, Problem if the replica does not follow, and Pending if replay advances after
    `spec.deadline`.
    """
    limit = STREAM_SECONDS if seconds is None else seconds
    recovery = Recovery(spec.container, receives=True)
    progress = ReplicaProgress(spec, catch_up)

    def explain(after: float) -> Problem:
        if recovery.blocked_by is not None:
            return StillStarting(
                "replay on %s hangs: its startup process %s, and nothing has moved for %d s. It was left running, and its "
                "data unchanged. Check the node's volume, and run again" % (spec.node, recovery.blocked_by, limit)
            )
        if progress.target is not None:
            return Problem(
                "PostgreSQL on %s follows its primary, but is %d bytes behind and has replayed nothing for %d s; its data "
                "is left as it is" % (spec.node, progress.target - progress.replayed, limit)
            )
        return Problem("PostgreSQL on %s does not receive its primary's changes after %d s" % (spec.node, after))

    def is_advancing() -> bool:
        advanced, is_busy = progress.pop_advanced(), recovery.is_advancing()
        # Replay alone does not count if the server answers no query: otherwise the wait might never end.
        return advanced or (is_busy and progress.answers)

    report = Report(spec, "replay", progress.measure)
    _wait(spec, lambda: progress.update(read_replication(spec, session)), is_advancing, limit, explain, report)
    recovery.note("%s %s its primary" % (spec.node, "had caught up with" if catch_up else "followed"))


class ReplicaProgress:
    """How far a replica has replayed, by its own answers. `target`: the end of its primary's WAL when it began to stream,
    if `catch_up`."""

    def __init__(self, spec: Spec, catch_up: bool) -> None:
        self._spec = spec
        self._catch_up = catch_up
        self._since: Dict[int, float] = {}
        self._advanced = False
        self._first: Optional[int] = None
        self._end = 0
        self.answers = False
        self.replayed = 0
        self.target: Optional[int] = None

    def update(self, state: Optional[Dict[str, Any]]) -> bool:
        """Takes an answer (None: no answer) and returns whether the replica follows, and has caught up if `catch_up`."""
        self.answers = state is not None
        if state is None:
            return False
        # Received WAL does not count: while the primary writes, it grows even if replay is paused or hangs.
        replayed = parse_lsn(state["lsn"] or "0/0")
        # The first answer shows where it is, not that it moves.
        self._advanced = self._advanced or (self._first is not None and replayed > self.replayed)
        self.replayed = max(replayed, self.replayed)
        self._first = replayed if self._first is None else self._first
        self._end = parse_lsn(state["end"] or state["received"] or "0/0")
        if not is_following(self._spec, state):
            return False
        # A receiver reports `streaming` before the primary has accepted it, so only one that lasts counts.
        now = time.monotonic()
        if now - self._since.setdefault(state["receiver"], now) <= SETTLE_SECONDS:
            return False
        if not self._catch_up:
            return True
        if self.target is None:
            # Null until the sender's first message: it has had nothing to send.
            self.target = parse_lsn(state["end"] or state["received"] or "0/0")
        return self.replayed >= self.target

    def measure(self) -> Tuple[int, Optional[int]]:
        """Returns how many bytes of WAL it has replayed since the first answer, and of how many; None if it is not known."""
        first = self.replayed if self._first is None else self._first
        end = self.target or max(self._end, self._spec.archived_until)
        return self.replayed - first, end - first if end > first else None

    def pop_advanced(self) -> bool:
        """Whether it replayed anything since the last call."""
        advanced, self._advanced = self._advanced, False
        return advanced


def read_replication(spec: Spec, session: Optional[Session] = None) -> Optional[Dict[str, Any]]:
    """Returns the server's replication state (REPLICATION); None if it does not answer."""
    return session.ask(REPLICATION) if session is not None else ask_once(spec.container, REPLICATION)


def is_following(spec: Spec, state: Optional[Dict[str, Any]]) -> bool:
    """Whether a replica's receiver streams from the step's primary and replay is not paused.

    A replica with diverged data repeatedly streams for a moment, up to the end of its timeline. By then it has the history
    file of the primary's newer timeline, which it can never reach.
    """
    if state is None or not state["recovery"] or state["paused"] or state["status"] != "streaming":
        return False
    if (state["timeline"] or 0) < find_newest_timeline():
        return False
    return spec.primary_address in (None, state["sender"])


def find_newest_timeline() -> int:
    """Returns the latest timeline with a history file in pg_wal. Timeline 1 has no such file."""
    names = os.listdir(DATA + "/pg_wal")
    found = [int(name[:8], 16) for name in names if re.match(r"^[0-9A-F]{8}\.history$", name)]
    return max(found, default=1)


def _wait(
    spec: Spec,
    is_done: Callable[[], bool],
    is_advancing: Callable[[], bool],
    limit: float,
    explain: Callable[[float], Problem],
    report: Report,
) -> None:
    """Waits until `is_done`. Raises `explain(<seconds waited>)` once `is_advancing` has been False for `limit` seconds,
    Ended if the server ends, and Pending once it has advanced and `spec.deadline` is over: a wait without any advance must
    find out that it stalls."""
    start = advanced = saved = time.monotonic()
    pause = 0.02
    started_at: Optional[str] = None
    log = ""
    while not is_done():
        found: Optional[Dict[str, Any]] = inspect_container(spec.container)
        if found is not None and started_at is None:
            started_at = found["State"]["StartedAt"]
        if found is None or not is_up(found) or found["State"]["StartedAt"] != started_at:
            # From the start of the attempt that ended: Docker may have started another one by now.
            tail = read_log(spec.container, since=started_at) or log
            raise Ended("PostgreSQL on %s ended while it started" % spec.node, tail)
        now = time.monotonic()
        if now > saved + LOG_SECONDS:
            saved, log = now, read_log(spec.container)
        if now > start + YIELD_SECONDS and has_waiting_run():
            raise StillStarting(
                "another run came to work on %s, so this one stopped waiting there; nothing was changed by that" % spec.node
            )
        report.write(now)
        if is_advancing():
            advanced = now
        if spec.deadline is not None and now > spec.deadline and advanced > start:
            raise Pending()
        if now > advanced + limit:
            problem = explain(now - start)
            problem.log = read_log(spec.container)
            raise problem
        time.sleep(pause)
        pause = min(pause * 1.5, 1)
