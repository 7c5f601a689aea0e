"""What archives one WAL file on a node: the script that PostgreSQL's archive_command calls, and what it notes about WAL that
pgBackRest dropped. Imports only the two layouts: the backup program on the node uses it as well."""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Callable, Dict, List, Optional

from .backup_layout import BACKREST_CONF, CONTAINER_SPOOL, SPOOL, TOOLS
from .layout import CONTAINER_ETC, ETC

# The same path on the host and in the server's container.
SCRIPT = TOOLS + "/archive-push"
# In the spool: a line `EPOCH FILE` for each WAL file that the archive will never have. A note of this action has a word in
# place of a name that nobody knows, `EPOCH WORD`, and later `EPOCH FILE WORD` (name_dropped). The time is for people: when
# the file was written, which may be hours before it is dropped; 0 if nobody knows, as for every note of this action: WAL may
# be missing since any time after the last backup.
DROPPED = "dropped"
# In the container, until when (epoch) nothing is archived because the server is being stopped. It is in memory: gone when
# the container has stopped.
STOPPING = "/dev/shm/postgres-cluster.stopping"

MAX_BYTES = 65536
KEPT_LINES = 500
SEGMENT = re.compile("[0-9A-F]{24}")
HISTORY = re.compile(r"[0-9A-F]{8}\.history")
# The word for what a former primary noted without a name.
INHERITED = "of-the-former-primary"

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
# (cmdArchivePushAsync in push.c). Without such a process it tests it for each file, before anything else, with the same
# limit: so a queue beyond its limit is cut down to it at once, the oldest file first.
file=$1 async=y
set -- pg_wal/archive_status/*.ready
[ "$queue" -eq 0 ] || [ "$#" -le "$queue" ] || async=n

is_stopping && defer "$file"
said=$(%(tools)s/pgbackrest --config="$conf" --stanza="$stanza" --log-level-console=warn --log-level-stderr=off \\
  --archive-async=$async archive-push "$file" 2>&1)
status=$?
[ -z "$said" ] || printf '%%s\\n' "$said" >&2
[ "$status" -eq 0 ] || ! is_stopping || defer "$file"

# pgBackRest drops WAL that waits, and reports success, so that a full volume does not stop PostgreSQL. No recovery reads the
# other files that PostgreSQL archives, `SEGMENT.OFFSET.backup` and `SEGMENT.partial`.
case ${file##*/}:$said in
  *.backup:* | *.partial:*) ;;
  *"dropped WAL file '"*"because archive queue exceeded"*)
    dropped=$spool/%(dropped)s
    if [ -f "$dropped" ] && [ "$(wc -c < "$dropped")" -gt %(bytes)d ]; then
      # The first line and the latest ones.
      { head -n 1 "$dropped"; tail -n %(lines)d "$dropped"; } > "$dropped.new" && mv "$dropped.new" "$dropped"
    fi
    written=$(date -r "$file" +%%s 2> /dev/null) || written=$(date +%%s)
    echo "$written ${file##*/}" >> "$dropped"
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


def read_dropped(start: Optional[str] = None) -> Optional[Dict[str, Any]]:
    """Returns the WAL that the archive will never have; with `start`, only what a recovery needs from a full backup on whose
    WAL starts with that segment. None if there is none, else {"files", "since", "last"}: the number of files (many are
    counted as at least KEPT_LINES), the earliest time (epoch) that is noted, 0 if one is not known, and the name of the last one, None if it is not
    known. For a history the name is _locate()'s."""
    notes = [line.split() for path in _list_markers() for line in _read_lines(path) if not _is_settled(line, start)]
    if not notes:
        return None
    names = [_locate(fields[1]) for fields in notes]
    last = None if None in names else max(filter(None, names))
    return {"files": len(notes), "since": min(int(fields[0]) for fields in notes), "last": last}


def is_dropped(name: str) -> bool:
    """Whether a WAL file is noted as dropped."""
    return any(line.split()[1:2] == [name] for path in _list_markers() for line in _read_lines(path))


def find_closed(starts: List[str]) -> Dict[str, int]:
    """Returns which full backups closed a gap that is noted, and the earliest time (epoch) that is noted of each, 0 if one is not known. `starts`: the
    segments with which the WAL of the full backups starts."""
    found: Dict[str, int] = {}
    for line in [line for path in _list_markers() for line in _read_lines(path)]:
        moment = _read_time(line)
        start = next((start for start in sorted(starts) if _is_settled(line, start)), None)
        if moment is not None and start is not None:
            found[start] = min(moment, found.get(start, moment))
    return found


def forget_dropped(start: str) -> None:
    """Forgets what no recovery needs from a full backup on that has succeeded; `start`: the segment with which its WAL
    starts."""
    _rewrite(lambda line: None if _is_settled(line, start) else line)


def name_dropped(segment: str) -> None:
    """Gives the notes without a name the name of the segment that this node's server, the primary, writes to: what is missing
    was written before. A backup that begins later starts with a later segment, as pg_backup_start() completes this one."""

    def name(line: str) -> str:
        fields = line.split()
        is_unnamed = _read_time(line) is not None and len(fields) > 1 and _locate(fields[1]) is None
        return "%s %s %s" % (fields[0], segment, fields[1]) if is_unnamed else line

    _rewrite(name)


def forget_noted(word: str) -> None:
    """Forgets one word, or name, that note_dropped() noted."""
    _rewrite(lambda line: None if line.endswith(" " + word) else line)


def _is_settled(line: str, start: Optional[str]) -> bool:
    """Whether a line is no note, or one of a file that no recovery reads which begins with segment `start`.

    Names compare as text: by the timeline, then by the position. A recovery reads the segments of its first timeline from
    `start` on, and those of later timelines. What is missing on an earlier timeline does not matter, wherever it is: either
    it comes before `start`, or it is on a branch that was left. What is missing on a later one does.
    """
    fields = line.split()
    if _read_time(line) is None or len(fields) < 2:
        return True
    name = _locate(fields[1])
    return start is not None and name is not None and name < start


def _locate(name: str) -> Optional[str]:
    """Returns the name of a segment; for the history of a timeline the one before its first (WAL begins with segment 1):
    a recovery that begins on that timeline can do without it (readTimeLineHistory in timeline.c). None for anything else."""
    if HISTORY.fullmatch(name):
        return name[:8] + "0" * 16
    return name if SEGMENT.fullmatch(name) else None


def _rewrite(change: Callable[[str], Optional[str]]) -> None:
    path, aside = _list_markers()
    try:
        # The server's script may add a line at any time. What it adds from now on goes into a new file.
        if not os.path.lexists(aside) and os.path.lexists(path):
            os.rename(path, aside)
        lines = [line for line in map(change, _read_lines(aside)) if line is not None]
        if lines:
            _append(path, lines)
        if os.path.lexists(aside):
            os.unlink(aside)
    except OSError:
        # The container's user has put something else there. What it hides is its own gap.
        return


def note_dropped(names: List[str]) -> None:
    """Notes WAL files that the archive will never have, or a word where their names are not known."""
    _note(["0 %s" % name for name in names[:KEPT_LINES]])


def replace_dropped(dropped: Optional[Dict[str, Any]]) -> None:
    """Replaces what this node noted, when it was the primary for the last time, by what read_dropped() returned on the former
    primary."""
    if read_dropped() is not None:
        _rewrite(lambda line: None)
    if dropped is not None:
        note = "%d %s" % (dropped["since"], dropped["last"] or INHERITED)
        _note([note] * min(dropped["files"], KEPT_LINES))


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
