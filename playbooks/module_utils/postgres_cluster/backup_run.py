"""One run of pgBackRest's backup, in the server's container."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from typing import List, Optional

from .backup_layout import BACKREST_CONF, TOOLS
from .command import Problem, run
from .files import read_json, read_text
from .layout import CONTAINER_ETC, ETC, RECORD, container_name
from .psql import ask_once, read_major, render_options
from .repository import DIGEST, IMAGE_NOTE

PGBACKREST = TOOLS + "/pgbackrest"
# The types as pgBackRest names them.
TYPES = {"full": "full", "incremental": "incr"}
LOG_CHARACTERS = 4000
# How long pgBackRest has to end after SIGTERM, before it is killed.
END_SECONDS = 20

# `docker exec` forwards no signal, and a client that is killed leaves the program running. So the program lives as long as
# the client keeps the input open. Every second, the shell prints pgBackRest's lock file: it has the bytes that are done, and
# those in all (cmdLockWriteP in backup.c). At the end it ends what is left of its process group, which docker made for it:
# a pgBackRest that was killed leaves processes that copy on and hold its lock, so that no other backup can begin.
SCRIPT = """
lock=$1
shift
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
(
  while read -r line <&3; do :; done
  kill -TERM "$child"
  sleep END_SECONDS
  kill -KILL "$child"
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
(
  while sleep 1 >/dev/null && kill -0 "$child"; do
    text=$(cat "$lock" 2>/dev/null) && printf '%s\\n' "$text"
  done
) </dev/null 2>/dev/null &
reporter=$!
wait "$child"
code=$?
trap '' TERM
read -r pid name state parent group rest <"/proc/$$/stat"
if [ "$group" = "$$" ]; then kill -TERM 0; else kill "$watcher" "$reporter"; fi 2>/dev/null
exit "$code"
""".replace("END_SECONDS", str(END_SECONDS))

LABEL = re.compile(r"new backup label = (\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)$")
# Printed when PostgreSQL has begun it: the segment with which its WAL starts.
START = re.compile(r"backup start archive = ([0-9A-F]{24}), lsn = ")
# Printed before it removes what has expired (main.c).
COMPLETED = "backup command end: completed successfully"


class BackupRun:
    """A backup that runs. `done` and `total` are bytes, `log` its last messages, `wal` is the first segment of its WAL."""

    def __init__(self, arguments: List[str]) -> None:
        self.done = 0
        self.total: Optional[int] = None
        self.log = ""
        self.label: Optional[str] = None
        self.wal: Optional[str] = None
        #: Whether the repository has the backup.
        self.is_complete = False
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
            encoding="utf-8",
            errors="replace",
            # The unit's signal must not end the client before the program in the container has ended.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def take_line(self, line: str) -> None:
        """Takes a line that was printed."""
        if line.startswith("{"):
            self._take_progress(line)
            return
        print(line, end="", flush=True)
        self.log = (self.log + line)[-LOG_CHARACTERS:]
        match = LABEL.search(line.rstrip())
        if match is not None:
            self.label = match.group(1)
        match = START.search(line)
        if match is not None:
            self.wal = match.group(1)
        if COMPLETED in line:
            self.is_complete = True

    def _take_progress(self, line: str) -> None:
        try:
            lock = json.loads(line)
            done, total = int(lock["szCplt"]), int(lock["sz"])
        except (ValueError, KeyError, TypeError, OverflowError):
            # While it starts, and while it removes what has expired, the lock has no sizes.
            return
        self.done, self.total = max(self.done, done), max(total, done)

    def wait(self, seconds: float) -> Optional[int]:
        """Returns its exit code; None if it has not ended within that time."""
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(10)
        self._close_input()
        return code

    def stop(self) -> None:
        """Ends the program in the container, and waits for it."""
        self._close_input()
        if self.wait(END_SECONDS + 10) is None:
            self._process.kill()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.take_line(line)


def list_arguments(cluster: str, kind: str) -> List[str]:
    """Returns the command that makes a backup. `kind`: full or incremental."""
    options = [
        "--config=%s/%s" % (CONTAINER_ETC, BACKREST_CONF),
        "--stanza=" + cluster,
        "--type=" + TYPES[kind],
        "--log-level-console=info",
        "--log-level-stderr=off",
        "--log-timestamp=n",
        *list_annotations(),
    ]
    # libpq's own variable: what a database or a role has as its settings is not pgBackRest's.
    env = ["-e", "PGOPTIONS=" + render_options(read_major())]
    script = ["sh", "-c", SCRIPT, "backup", find_lock(cluster)]
    return ["docker", "exec", "-i", *env, container_name(cluster), *script, PGBACKREST, *options, "backup"]


def list_annotations() -> List[str]:
    """Returns the option that keeps with a backup which image sorts its text: a restore compares its own with it."""
    digest = (read_json(RECORD) or {}).get("digest")
    return ["--annotation=%s=%s" % (IMAGE_NOTE, digest)] if isinstance(digest, str) and DIGEST.fullmatch(digest) else []


def find_lock(cluster: str) -> str:
    """Returns the path of pgBackRest's lock file in the container."""
    match = re.search(r"^lock-path=(/\S+)$", read_text("%s/%s" % (ETC, BACKREST_CONF)) or "", re.MULTILINE)
    return "%s/%s-backup-1.lock" % (match.group(1) if match else "/tmp/pgbackrest", cluster)


def read_start(cluster: str) -> Optional[str]:
    """Returns when the server's container was started; None if it does not run."""
    inspect = ["docker", "inspect", "--format", "{{.State.Running}} {{.State.StartedAt}}", container_name(cluster)]
    answer = run(inspect, check=False, timeout=60).stdout.split()
    return answer[1] if len(answer) == 2 and answer[0] == "true" else None


def is_primary(cluster: str) -> bool:
    """Whether this node's server runs as the primary."""
    try:
        return ask_once(container_name(cluster), "SELECT to_json(NOT pg_is_in_recovery())") is True
    except Problem:
        return False
