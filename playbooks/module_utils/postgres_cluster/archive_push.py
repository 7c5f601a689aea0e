"""What archives one WAL file on a node: the script that PostgreSQL's archive_command calls, and what it notes about WAL that
pgBackRest dropped. Imports only the two layouts: the backup program on the node uses it as well."""

from __future__ import annotations

import os
import stat
import time
from typing import Callable, Dict, List, Optional

from .backup_layout import BACKREST_CONF, CONTAINER_SPOOL, SPOOL, TOOLS
from .layout import CONTAINER_ETC, ETC

# The same path on the host and in the server's container.
SCRIPT = TOOLS + "/archive-push"
# In the spool: a line `EPOCH FILE` for each WAL file that the archive will never have.
DROPPED = "dropped"
# In the container, until when (epoch) nothing is archived because the server is being stopped. It is in memory: gone when
# the container has stopped.
STOPPING = "/dev/shm/postgres-cluster.stopping"

MAX_BYTES = 65536
KEPT_LINES = 500

# Runs in the server's container, with the data directory as working directory, for dash and busybox. The wording of a
# dropped file is archivePushDropWarning() in pgBackRest's src/command/archive/push/push.c.
SCRIPT_TEXT = """#!/bin/sh
# Archives one WAL file with pgBackRest. Called by PostgreSQL's archive_command with the file's path (%%p).
conf=%(conf)s
spool=%(spool)s
stopping=%(stopping)s

# Whether the server is being stopped. The WAL is archived later: from here, or by the next primary.
is_stopping() {
  [ -f "$stopping" ] || return 1
  until=
  read -r until < "$stopping"
  [ "$(date +%%s)" -lt "$until" ] 2>/dev/null
}

# PostgreSQL's archiver tries again after a failure, except after an exit code above 125: then it ends at once
# (shell_archive_file() in shell_archive.c). So a shutdown does not wait.
defer() {
  echo "postgres-cluster: the server is being stopped, so $1 is archived later" >&2
  exit 126
}

# Sets the name of the file's section, which is the stanza, and how many segments may wait.
stanza= queue=0
while read -r line; do
  case $line in
    '[global]' | '[global:'*) ;;
    '['*':'*) ;;
    '['*']') stanza=${line#?} stanza=${stanza%%?} ;;
    archive-push-queue-max=*GiB) queue=${line#*=} queue=$((${queue%%GiB} * 64)) ;;
    archive-push-queue-max=*MiB) queue=${line#*=} queue=$((${queue%%MiB} / 16)) ;;
  esac
done < "$conf"

# pgBackRest tests the length of the queue only when its process in the background begins, and that may try for an hour
# (cmdArchivePushAsync in push.c). Without such a process it tests it for each file, before anything else. That is slower,
# and for a queue that has grown far beyond its limit.
file=$1 async=y
set -- pg_wal/archive_status/*.ready
[ "$queue" -eq 0 ] || [ "$#" -le $((queue * 4)) ] || async=n

is_stopping && defer "$file"
said=$(%(tools)s/pgbackrest --config="$conf" --stanza="$stanza" --log-level-console=warn --log-level-stderr=off \\
  --archive-async=$async archive-push "$file" 2>&1)
status=$?
[ -z "$said" ] || printf '%%s\\n' "$said" >&2
[ "$status" -eq 0 ] || ! is_stopping || defer "$file"

# pgBackRest drops WAL that waits, and reports success, so that a full volume does not stop PostgreSQL.
case $said in
  *"dropped WAL file '"*"because archive queue exceeded"*)
    dropped=$spool/%(dropped)s
    if [ -f "$dropped" ] && [ "$(wc -c < "$dropped")" -gt %(bytes)d ]; then
      # The first line and the latest ones.
      { head -n 1 "$dropped"; tail -n %(lines)d "$dropped"; } > "$dropped.new" && mv "$dropped.new" "$dropped"
    fi
    echo "$(date +%%s) ${file##*/}" >> "$dropped"
    ;;
esac

# Above 125, as of a program that is missing or was killed, is no failure to PostgreSQL: its archiver ends and counts none.
[ "$status" -le 125 ] || exit 1
exit "$status"
""" % {
    "conf": "%s/%s" % (CONTAINER_ETC, BACKREST_CONF),
    "spool": CONTAINER_SPOOL,
    "stopping": STOPPING,
    "tools": TOOLS,
    "dropped": DROPPED,
    "bytes": MAX_BYTES,
    "lines": KEPT_LINES,
}


def is_archiving() -> bool:
    """Whether the node's server archives into a repository of backups while it is the primary."""
    return os.path.isfile("%s/%s" % (ETC, BACKREST_CONF))


def read_dropped() -> Optional[Dict[str, int]]:
    """Returns the WAL that the archive will never have: {"files", "since", "latest"}, the number of files, and the first and
    the last time (epoch) that one was dropped. None if there is none. Many files are counted as at least KEPT_LINES."""
    times = [_read_time(line) for path in _list_markers() for line in _read_lines(path)]
    known = [moment for moment in times if moment is not None]
    return {"files": len(known), "since": min(known), "latest": max(known)} if known else None


def is_dropped(name: str) -> bool:
    """Whether a WAL file is noted as dropped."""
    return any(line.endswith(" " + name) for path in _list_markers() for line in _read_lines(path))


def forget_dropped(before: int) -> None:
    """Forgets what was dropped before `before`, the time (epoch) at which a full backup began that has succeeded: no
    recovery from that backup on needs it."""
    _keep(lambda line: (_read_time(line) or 0) >= before)


def forget_noted(name: str) -> None:
    """Forgets one name that note_dropped() noted."""
    _keep(lambda line: not line.endswith(" " + name))


def _keep(is_kept: Callable[[str], bool]) -> None:
    path, aside = _list_markers()
    try:
        # The server's script may add a line at any time. What it adds from now on goes into a new file.
        if not os.path.lexists(aside) and os.path.lexists(path):
            os.rename(path, aside)
        lines = [line for line in _read_lines(aside) if is_kept(line)]
        if lines:
            _append(path, lines)
        if os.path.lexists(aside):
            os.unlink(aside)
    except OSError:
        # The container's user has put something else there. What it hides is its own gap.
        return


def note_dropped(names: List[str]) -> None:
    """Notes WAL files that the archive will never have."""
    now = int(time.time())
    _note(["%d %s" % (now, name) for name in names[:KEPT_LINES]])


def replace_dropped(dropped: Optional[Dict[str, int]]) -> None:
    """Replaces what this node noted, when it was the primary for the last time, by what read_dropped() returned on the former
    primary."""
    if read_dropped() is not None:
        forget_dropped(int(time.time()) + 1)
    if dropped is not None:
        times = [dropped["since"], *[dropped["latest"]] * (min(dropped["files"], KEPT_LINES) - 1)]
        _note(["%d of-the-former-primary" % moment for moment in times])


def _note(lines: List[str]) -> None:
    try:
        _append(SPOOL + "/" + DROPPED, lines)
    except OSError:
        # As in _keep(). A promotion must not fail for it.
        return


def _list_markers() -> List[str]:
    """Returns the paths of the file, and of the one that an interrupted forget_dropped() left."""
    return [SPOOL + "/" + DROPPED, SPOOL + "/" + DROPPED + ".old"]


def _read_time(line: str) -> Optional[int]:
    head = line.split(" ", 1)[0]
    # Digits of ASCII only; a number that no clock shows is none.
    return int(head) if head.isascii() and head.isdigit() and len(head) <= 12 else None


def _read_lines(path: str) -> List[str]:
    # The directory belongs to the container's user, who may put anything there: no link, pipe or device is opened.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return []
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return []
        return file.read(2 * MAX_BYTES).decode("utf-8", "replace").splitlines()


def _append(path: str, lines: List[str]) -> None:
    owner = os.stat(SPOOL)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.write(descriptor, "".join(line + "\n" for line in lines).encode("utf-8"))
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
