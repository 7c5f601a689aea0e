"""Waits until everything that a primary has written up to now is in the archive."""

from __future__ import annotations

import os
import re
import time
from typing import List, Optional

from .archive_push import is_archiving
from .archive_status import Segment, is_done, list_waiting
from .backrest_errors import explain_failure, read_option
from .backup_layout import BACKREST_CONF, SPOOL
from .docker import read_log
from .files import read_text
from .layout import ETC
from .lsn import parse_lsn
from .psql import Session
from .spec import Spec

# How long nothing may be archived. After three failed attempts PostgreSQL waits a minute before the next one
# (PGARCH_AUTOWAKE_INTERVAL in pgarch.c).
STALL_SECONDS = 90.0
# The same before a switchover goes on without the archive: the new primary archives the rest.
SWITCHOVER_SECONDS = 30.0
POLL_SECONDS = 0.1
MAX_ERROR = 300

# Does nothing if nothing was written since the last switch. Returns the end of what was written, within the segment that is
# complete now or at its end (PostgreSQL manual, 9.28.3 "Backup Control Functions").
SWITCH = """
SELECT json_build_object(
  'timeline', ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,
  'size', (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
  'lsn', pg_switch_wal())
"""


def switch_segment(session: Session) -> str:
    """Completes the segment that the primary writes to, so that it is archived; returns its name, or that of the one before
    if nothing was written since."""
    found = session.ask(SWITCH)
    return Segment(found["timeline"], (parse_lsn(found["lsn"]) - 1) // found["size"]).format(found["size"])


def wait_until_archived(name: str, seconds: float = STALL_SECONDS) -> bool:
    """Waits until a segment is archived; returns whether it is. Without a limit while files that were written before it are
    archived; otherwise until nothing has been archived for `seconds`."""
    moved = time.monotonic()
    least: Optional[int] = None
    while True:
        # Those of earlier timelines as well, and histories (`00000002.history`).
        before = [waiting for waiting in list_waiting() if waiting[8] == "." or waiting[8:24] <= name[8:24]]
        if name not in before and is_done(name):
            return True
        if least is None or len(before) < least:
            least, moved = len(before), time.monotonic()
        if time.monotonic() > moved + seconds:
            return False
        time.sleep(POLL_SECONDS)


LEFT_TO_SUCCESSOR = "The switchover went on; the new primary archives what it has of it"


def empty_queue(session: Session, spec: Spec, outcome: str = LEFT_TO_SUCCESSOR) -> List[str]:
    """Before the primary is stopped: waits until the archive has what was written up to now. In a switchover little is left
    then to the new primary, which may not have more; in a removal nothing is lost. An archive that does not answer stops
    neither, but is returned as a sentence, which ends with `outcome`. Does nothing without backups."""
    if not is_archiving():
        return []
    name = switch_segment(session)
    if wait_until_archived(name, SWITCHOVER_SECONDS):
        return []
    stall = describe_stall(spec.cluster, spec.container, name, SWITCHOVER_SECONDS)
    return ["%s. %s" % (stall, outcome)]


def describe_stall(cluster: str, container: str, name: str, seconds: float = STALL_SECONDS) -> str:
    """Returns a sentence about a segment for which wait_until_archived() has waited in vain, with pgBackRest's last words."""
    said = read_push_error(cluster, container)
    waiting = len(list_waiting())
    return "%s is not in the archive of the backups, and nothing was archived for %d s (%d files wait): %s" % (
        name,
        seconds,
        waiting,
        said or "pgBackRest says nothing; see the server's log",
    )


def read_push_error(cluster: str, container: str) -> Optional[str]:
    """Returns why pgBackRest did not archive the file that PostgreSQL tries to archive; None if it does not say."""
    folder = "%s/archive/%s/out" % (SPOOL, cluster)
    for waiting in list_waiting()[:1]:
        for name in (waiting, "global"):
            text = _read_error("%s/%s.error" % (folder, name))
            if text is not None:
                code, _, said = text.partition("\n")
                return explain_push(int(code) if re.fullmatch("[0-9]{1,3}", code) else 0, said)
    lines = re.findall(r"ERROR: \[\d+\]: .*|archive command failed .*", read_log(container, 200))
    return explain_push(0, lines[-1]) if lines else None


def explain_push(code: int, said: str) -> str:
    """Returns why a push failed: in a sentence if that is known, otherwise in pgBackRest's words. `code`: 0 if unknown."""
    conf = read_text("%s/%s" % (ETC, BACKREST_CONF)) or ""
    slow = re.search(r"asynchronously after (\d+) second", said)
    if slow is not None:
        return "%s did not take the file within %s s" % (read_option(conf, "repo1-s3-endpoint") or "S3", slow.group(1))
    known = explain_failure(code, said, conf)
    return shorten(said) if known.startswith("pgBackRest failed") else known


def shorten(text: str) -> str:
    """Returns an error of pgBackRest in one line: without hints, and without the headers of HTTP, except for the code in the
    body of S3's answer."""
    head = re.split(r"\n(?:HINT|\*\*\* )", text.strip())[0]
    code = re.search(r"<Code>(\w{1,64})</Code>", text)
    line = re.sub(r"[\s\x00-\x1f\x7f]+", " ", head).strip().rstrip(":")[:MAX_ERROR]
    return line + (" (%s)" % code.group(1) if code and code.group(1) not in line else "")


def _read_error(path: str) -> Optional[str]:
    # The directory belongs to the container's user, who may put links anywhere.
    if os.path.realpath(path) != path:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.read(65536).decode("utf-8", "replace")
        except OSError:
            return None
