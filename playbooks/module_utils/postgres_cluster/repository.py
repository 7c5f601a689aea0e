"""What the repository holds, from `pgbackrest info`, and what is wrong where pgBackRest fails, in a sentence.

The bucket may hold anything: every value is checked before it is used.
"""

from __future__ import annotations

import calendar
import json
import re
import socket
import time
from typing import Any, Dict, List, NamedTuple, Optional

from .backrest_errors import explain_failure, name_bucket, read_option
from .backup_layout import BACKREST_CONF, TOOLS
from .command import Problem, run
from .files import read_text
from .layout import ETC
from .lsn import parse_lsn
from .restore_branch import read_own_branch
from .worker import RUN

# An observation must not hang because the bucket does.
INFO_SECONDS = 15
CONNECT_SECONDS = 3
ANNOTATE_SECONDS = 120
# About a year of daily backups. The newest are reported.
MAX_BACKUPS = 400
MAX_BYTES = 2**53 - 1

LABEL = re.compile(r"\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?")
SEGMENT = re.compile(r"[0-9A-F]{24}")
TYPES = ("full", "diff", "incr")
# The annotation of a full backup that closed a gap: when the first WAL file that is missing was written. It is kept with the
# backup, so it outlives the node, and is gone once the moments in the gap are too old to be asked for.
MISSING_SINCE = "wal-missing-since"
# The image, by digest, that the primary ran when a backup was made.
IMAGE_NOTE = "image"
DIGEST = re.compile(r"[A-Za-z0-9._:/@-]{1,300}")
TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"

# Codes of a stanza's status (info.c of pgBackRest: INFO_STANZA_STATUS_CODE_…).
OK = 0
NO_STANZA = 1
MISSING = (NO_STANZA, 3)
NO_BACKUP = 2
# The options that say which repository it is.
LOCATION = ("repo1-s3-bucket", "repo1-path", "repo1-s3-endpoint", "repo1-storage-port")

NOTHING: Dict[str, Any] = {"systemIdentifier": None, "backups": [], "oldestWal": None, "newestWal": None}


class Info(NamedTuple):
    """The answer of `pgbackrest info`."""

    # The JSON; None: there was no answer.
    text: Optional[str]
    # A sentence; None unless there was no answer.
    problem: Optional[str]
    # pgBackRest's own words, which may be in the JSON as well.
    said: str


def is_same_place(conf: str, other: str) -> bool:
    """Whether the texts of two pgbackrest.conf name the same repository."""
    return all(read_option(conf, name) == read_option(other, name) for name in LOCATION)


def read_repository(cluster: str, path: str = "%s/%s" % (ETC, BACKREST_CONF)) -> Dict[str, Any]:
    """Returns what the repository in the pgbackrest.conf at `path` holds: `systemIdentifier`, `backups`, `oldestWal` and
    `newestWal` as in BackupObservation (src/cluster/observation.ts), and `problem`, a sentence, None if it could be read. Each
    backup has `startWal` as well, the segment with which its WAL starts, and `stop`, the LSN at which it is complete.

    Runs on the host, as it needs no server.
    """
    info = ask_info(cluster, path)
    if info.text is None:
        return {**NOTHING, "problem": info.problem}
    return parse_info(info.text, cluster, read_text(path) or "")


def ask_info(cluster: str, path: str) -> Info:
    """Asks what the repository in the pgbackrest.conf at `path` holds."""
    conf = read_text(path) or ""
    try:
        result = run(
            [
                TOOLS + "/pgbackrest",
                "--config=" + path,
                "--stanza=" + cluster,
                "--io-timeout=5",
                "--log-level-console=off",
                "--log-level-stderr=error",
                "--output=json",
                "info",
            ],
            timeout=INFO_SECONDS,
            check=False,
        )
    except Problem as problem:
        if "did not end" not in problem.message:
            return Info(None, problem.message, "")
        said = find_obstacle(conf) or "timeout after %dms" % (INFO_SECONDS * 1000)
        return Info(None, explain_failure(0, said, conf), said)
    if result.returncode != 0:
        return Info(None, explain_failure(result.returncode, result.stderr, conf), result.stderr)
    return Info(result.stdout, None, result.stdout)


def find_obstacle(conf: str) -> Optional[str]:
    """Returns why no connection to the endpoint is possible, in pgBackRest's words; None if one is. pgBackRest itself says
    that only after several times --io-timeout."""
    host, port = read_option(conf, "repo1-s3-endpoint"), read_option(conf, "repo1-storage-port")
    try:
        socket.create_connection((host, int(port or 443)), CONNECT_SECONDS).close()
    except socket.gaierror:
        return "unable to get address for '%s'" % host
    except OSError as error:
        return "unable to connect to '%s': %s" % (host, error)
    return None


def parse_info(text: str, cluster: str, conf: str) -> Dict[str, Any]:
    """Returns what read_repository() returns, from the JSON that `pgbackrest info` prints."""
    stanza = _find_stanza(text, cluster)
    if stanza is None:
        return {**NOTHING, "problem": "pgBackRest said nothing about the backups in %s" % name_bucket(conf)}
    status = _dict(stanza.get("status"))
    code = status.get("code")
    if code in MISSING:
        return {
            **NOTHING,
            "problem": "%s holds no archive of this cluster, although the cluster archives into it: somebody has deleted it "
            "there. To begin a new one, remove `backup` from the cluster file, deploy, and add it again" % name_bucket(conf),
        }
    if code not in (OK, NO_BACKUP):
        messages = [_dict(_dict(repo).get("status")).get("message") for repo in _list(stanza.get("repo"))]
        said = next((message for message in [*messages, status.get("message")] if isinstance(message, str)), "")
        return {**NOTHING, "problem": explain_failure(0, said, conf)}
    databases = [item for item in map(_dict, _list(stanza.get("db"))) if isinstance(item.get("id"), int)]
    if not databases:
        return {**NOTHING, "problem": None}
    newest = max(databases, key=lambda item: item["id"])
    backups = [_read_backup(_dict(item)) for item in _list(stanza.get("backup")) if _is_of(item, newest["id"])]
    known = sorted((item for item in backups if item is not None), key=lambda item: item["started"])
    archives = [_dict(item) for item in _list(stanza.get("archive")) if _is_of(item, newest["id"])]
    identifier = str(newest.get("system-id"))
    return {
        "problem": None,
        "systemIdentifier": identifier if re.fullmatch(r"[0-9]{1,20}", identifier) else None,
        "backups": known[-MAX_BACKUPS:],
        "oldestWal": min(filter(None, (_read_segment(item.get("min")) for item in archives)), default=None),
        "newestWal": max(filter(None, (_read_segment(item.get("max")) for item in archives)), default=None),
    }


def read_status(text: str, cluster: str) -> Any:
    """Returns the code of the stanza's status, from the JSON that `pgbackrest info` prints."""
    return _dict(_dict(_find_stanza(text, cluster)).get("status")).get("code")


def _find_stanza(text: str, cluster: str) -> Optional[Dict[str, Any]]:
    try:
        # Messages may quote anything that the bucket holds.
        stanzas = json.loads(text, strict=False)
    except ValueError:
        return None
    return next((item for item in _list(stanzas) if isinstance(item, dict) and item.get("name") == cluster), None)


def _read_backup(item: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """Returns a BackupRecord with `startWal`; None for what is none."""
    times, sizes = _dict(item.get("timestamp")), _dict(item.get("info"))
    backup = {
        "label": item.get("label"),
        "type": item.get("type"),
        "started": times.get("start"),
        "ended": times.get("stop"),
        "databaseBytes": sizes.get("size"),
        "repositoryBytes": _dict(sizes.get("repository")).get("delta"),
        "damaged": item.get("error") is True,
        "missingSince": _read_moment(_dict(item.get("annotation")).get(MISSING_SINCE)),
        "startWal": _read_segment(_dict(item.get("archive")).get("start")),
        "stop": _read_lsn(_dict(item.get("lsn")).get("stop")),
    }
    is_valid = (
        isinstance(backup["label"], str)
        and LABEL.fullmatch(backup["label"]) is not None
        and backup["type"] in TYPES
        # All are made online.
        and backup["startWal"] is not None
        and backup["stop"] is not None
        and all(_is_whole(backup[name], 2**40) for name in ("started", "ended"))
        and all(_is_whole(backup[name], MAX_BYTES) for name in ("databaseBytes", "repositoryBytes"))
    )
    return backup if is_valid else None


def annotate_gap(cluster: str, label: str, since: int) -> None:
    """Notes in the repository that WAL before a full backup is missing since a time (epoch). Raises Problem if that fails."""
    path = "%s/%s" % (ETC, BACKREST_CONF)
    words = [
        TOOLS + "/pgbackrest",
        "--config=" + path,
        "--stanza=" + cluster,
        # The container has its own.
        "--lock-path=" + RUN + "/pgbackrest",
        "--log-level-console=off",
        "--log-level-stderr=error",
        "--set=" + label,
        "--annotation=%s=%s" % (MISSING_SINCE, time.strftime(TIME_FORM, time.gmtime(since))),
        "annotate",
    ]
    result = run(words, timeout=ANNOTATE_SECONDS, check=False)
    if result.returncode != 0:
        said = explain_failure(result.returncode, result.stderr, read_text(path) or "")
        raise Problem("backup %s could not be annotated: %s" % (label, said), result.stderr)


def _read_moment(value: Any) -> Optional[int]:
    """Returns the time in an annotation; None for anything else."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value, re.ASCII):
        return None
    try:
        return max(0, calendar.timegm(time.strptime(value, TIME_FORM)))
    except ValueError:
        return None


def _is_of(item: Any, database: int) -> bool:
    return _dict(_dict(item).get("database")).get("id") == database


def _is_whole(value: Any, maximum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= maximum


def _read_segment(value: Any) -> Optional[str]:
    return value if isinstance(value, str) and SEGMENT.fullmatch(value) else None


def _read_lsn(value: Any) -> Optional[int]:
    is_lsn = isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", value) is not None
    return parse_lsn(value) if is_lsn else None


def _dict(value: Any) -> Dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []


def keep_own(backups: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Returns those of the backups with which a recovery of this node's cluster can begin: not those of a branch that it left
    (restore_branch.py), by a restore into the same folder or by a failover."""
    branch = read_own_branch()
    return [item for item in backups if branch.contains(int(item["startWal"][:8], 16), item["stop"])]


def find_start(backups: List[Dict[str, Any]]) -> Optional[str]:
    """Returns the segment with which the WAL of the newest full backup starts; None without one."""
    return max((item["startWal"] for item in backups if item["type"] == "full"), default=None)
