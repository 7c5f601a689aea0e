"""The repository that a restore reads: which backup it begins with, and why it cannot be read."""

from __future__ import annotations

import datetime
import json
import os
import re
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .backrest_errors import TEXTS, explain_failure
from .backup_layout import TOOLS
from .command import Problem, run
from .files import read_text
from .restore_branch import Branch, read_branch
from .repository import DIGEST, IMAGE_NOTE, LABEL, SEGMENT
from .sizes import GIB
from .stages import show_time

# A clock that is a little slow must not refuse the present moment.
CLOCK_SECONDS = 60
INFO_SECONDS = 300
# About a year of daily backups.
MAX_LATER = 400
VERSION = re.compile(r"[0-9]{2}")

class Source(NamedTuple):
    """Where the backups are. `path`: of the repository in its bucket, e.g. `/production/orders`; `cluster`: the stanza."""

    bucket: str
    path: str
    cluster: str

    @property
    def url(self) -> str:
        return "s3://%s%s" % (self.bucket, self.path)


class Choice(NamedTuple):
    """The backup that a restore begins with."""

    label: str
    # Major version of PostgreSQL.
    major: str
    # Size of the database in bytes.
    size: int
    # The newest archived WAL segment of its database, e.g. `000000010000000000000009`.
    newest: str
    # Seconds since the epoch.
    ended: int
    # Whether pgBackRest found damaged pages in it.
    damaged: bool
    # Of each later one, the segment with which its WAL starts and its end.
    later: List[Tuple[str, int]]
    # Identifies the database cluster that was backed up; "" if that is not known.
    system: str = ""
    # The image that its primary ran, by digest; None if that is not known.
    image: Optional[str] = None


def locate_source(source: Dict[str, Any]) -> Source:
    """Returns the source of a step (BackupSource and locateRepository in src/cluster/backup.ts)."""
    prefix = source.get("prefix") or ""
    path = "/%s%s" % (prefix + "/" if prefix else "", source["cluster"])
    return Source(source["bucket"], path, source["cluster"])


def parse_time(text: Optional[str]) -> Optional[float]:
    """Returns a time of RFC 3339 in seconds since the epoch; None for none."""
    if not text:
        return None
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", text)
    if match is None:
        raise Problem("restore.time is %r; it is a time with its zone, e.g. 2026-11-26T14:05:00Z" % text)
    day, clock, fraction, zone = match.groups()
    whole = "%sT%s%s" % (day, clock, "+00:00" if zone in "Zz" else zone)
    try:
        return datetime.datetime.fromisoformat(whole).timestamp() + float(fraction or 0)
    except ValueError as error:
        raise Problem("restore.time is %r: %s" % (text, error))


def render_target(moment: float) -> str:
    """Returns a time as recovery_target_time takes it, in UTC."""
    found = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
    return found.strftime("%Y-%m-%d %H:%M:%S.%f+00")


def list_command(source: Source, conf: str, *words: str) -> List[str]:
    """Returns a command of pgBackRest with this configuration file."""
    return [TOOLS + "/pgbackrest", "--config=" + conf, "--stanza=" + source.cluster, *words]


def choose_backup(source: Source, conf: str, moment: Optional[float]) -> Choice:
    """Asks the repository and returns the newest backup that ended before `moment`, on the way to the newest timeline. Raises Problem if there is none, or if the
    repository cannot be read."""
    if not os.path.exists(TOOLS + "/pgbackrest"):
        raise Problem("%s is not on this node: the step prepare installs it. Run again" % TOOLS)
    words = ["--log-level-console=off", "--log-level-stderr=error", "--output=json", "info"]
    result = run(list_command(source, conf, *words), check=False, timeout=INFO_SECONDS)
    text = read_text(conf) or ""
    if result.returncode != 0:
        raise Problem(explain(source, text, result.stderr, result.returncode), result.stderr)
    try:
        stanzas = json.loads(result.stdout, strict=False)
        stanza = next((one for one in stanzas if one["name"] == source.cluster), {"status": {"code": 1}})
        branches: Dict[str, Branch] = {}

        def branch(database: str) -> Branch:
            if database not in branches:
                branches[database] = _read_branch(source, conf, text, database)
            return branches[database]

        return choose(source, text, stanza, moment, time.time(), lambda choice: read_archived_at(source, conf, choice), branch)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # The bucket may hold anything.
        what = "the description of the backups in %s is not one of pgBackRest's (%r)" % (source.url, error)
        raise Problem(what, result.stdout[:1000])


def choose(
    source: Source,
    conf: str,
    stanza: Dict[str, Any],
    moment: Optional[float],
    now: float,
    date: Callable[[Choice], Optional[int]],
    branch: Callable[[str], Branch],
) -> Choice:
    """Returns the backup for `moment` from what `pgbackrest info` says of a stanza. `conf`: the text of the configuration;
    `date` returns when the newest segment of a choice was archived, or None; `branch` the newest timeline of a database, e.g.
    of `17-1`.

    Raises Problem, and ValueError, LookupError, TypeError or AttributeError if the answer has another shape.
    """
    status = stanza.get("status") or {}
    repositories = stanza.get("repo") or [{}]
    if status.get("code") in (1, 3):
        raise Problem(
            "%s holds no backups of a cluster %s: check restore.from (bucket, prefix, cluster)" % (source.url, source.cluster)
        )
    if status.get("code") not in (0, 2):
        message = str((repositories[0].get("status") or {}).get("message") or status.get("message") or "no answer")
        raise Problem(explain(source, conf, message), message)
    everything = sorted(stanza.get("backup") or [], key=lambda backup: backup["timestamp"]["stop"])
    if not everything:
        raise Problem("%s holds no complete backup yet, so there is nothing to restore from" % source.url)
    backups = [backup for backup in everything if branch(_name_database(stanza, backup)).has(backup)]
    if not backups:
        raise Problem(
            "%s has no backup to begin with: recovery follows the newest timeline (%d), which began before the end of each of "
            "them, by a restore into this folder or by a failover. Make a full backup of the cluster that archives there: "
            "command: backup, backup-type: full" % (source.url, branch(_name_database(stanza, everything[-1])).timeline)
        )
    if moment is not None and moment > now + CLOCK_SECONDS:
        raise Problem(
            "restore.time is %s, which is in the future (it is %s): leave it out to restore to the newest moment"
            % (show_time(int(moment)), show_time(int(now)))
        )
    # The end is known to the second only. A backup that ended within this second may not be consistent at the target yet
    # (restoreBackupSet in pgBackRest's restore.c).
    fitting = [backup for backup in backups if moment is None or backup["timestamp"]["stop"] < int(moment)]
    if not fitting:
        archived = date(_describe(source, stanza, backups[-1:]))
        raise Problem(
            "%s cannot be restored to %s: its backups allow times from %s (the end of the oldest backup)%s. Change restore.time"
            % (
                source.url,
                show_time(int(moment or 0)),
                show_time(backups[0]["timestamp"]["stop"] + 1),
                "" if archived is None else " to %s (its newest WAL)" % show_time(archived),
            )
        )
    return _describe(source, stanza, backups[len(fitting) - 1 :])


def _read_branch(source: Source, conf: str, text: str, database: str) -> Branch:
    command = list_command(source, conf, "--log-level-console=off", "--log-level-stderr=error")
    try:
        return read_branch(command, source.cluster, database)
    except Problem as problem:
        raise Problem(explain(source, text, problem.message), problem.log)


def _name_database(stanza: Dict[str, Any], backup: Dict[str, Any]) -> str:
    """Returns the folder of a backup's WAL."""
    identifier = backup["database"]["id"]
    return "%s-%d" % ([db["version"] for db in stanza["db"] if db["id"] == identifier][0], identifier)


def _describe(source: Source, stanza: Dict[str, Any], backups: List[Dict[str, Any]]) -> Choice:
    """Returns the first of the backups, which are in the order of their ends."""
    backup, later = backups[0], backups[1 : 1 + MAX_LATER]
    identifier = backup["database"]["id"]
    database = [db for db in stanza["db"] if db["id"] == identifier][0]
    version = database["version"]
    newest = [one["max"] for one in stanza.get("archive") or [] if one["database"]["id"] == identifier and one.get("max")]
    if not newest:
        raise Problem("%s holds no WAL, so its backups cannot be restored" % source.url)
    choice = Choice(
        backup["label"],
        str(version),
        int(backup["info"]["size"]),
        max(newest),
        int(backup["timestamp"]["stop"]),
        bool(backup.get("error")),
        [(str(one["archive"]["start"]), int(one["timestamp"]["stop"])) for one in later if one["database"]["id"] == identifier],
        str(database.get("system-id") or ""),
        _read_image(backup),
    )
    # They become arguments and parts of messages.
    for pattern, value in ((LABEL, choice.label), (VERSION, choice.major), (SEGMENT, choice.newest), *((SEGMENT, start) for start, _ in choice.later)):
        if not pattern.fullmatch(value):
            raise ValueError(value[:100])
    return choice


def _read_image(backup: Dict[str, Any]) -> Optional[str]:
    image = (backup.get("annotation") or {}).get(IMAGE_NOTE)
    return image if isinstance(image, str) and DIGEST.fullmatch(image) else None


def read_archived_at(source: Source, conf: str, choice: Choice) -> Optional[int]:
    """Returns when the newest segment was archived; None if that is not known."""
    command = ["--output=json", "--recurse", "--filter=/%s-" % choice.newest, "repo-ls", "archive/" + source.cluster]
    result = run(list_command(source, conf, *command), check=False, timeout=INFO_SECONDS)
    try:
        files = json.loads(result.stdout) if result.returncode == 0 else {}
        return max((int(file["time"]) for file in files.values() if file.get("type") == "file"), default=None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def explain(source: Source, conf: str, said: str, code: int = 0) -> str:
    """Returns a sentence on why the repository cannot be read. `conf`: the text of its configuration; `said`: pgBackRest's
    messages; `code`: its exit code, 0 if unknown."""
    sentence = explain_failure(code, said, conf)
    # That module is about the cluster's own backups.
    for own, other in (
        ("`backup.bucket`", "`restore.from.bucket`"),
        ("`backup.cipher`", "`restore.from.cipher`"),
        ("backup-cipher-key", "restore-cipher-key"),
        ("read and write", "read"),
    ):
        sentence = sentence.replace(own, other)
    return "%s cannot be read: %s" % (source.url, sentence)


def explain_known(source: Source, conf: str, said: str) -> Optional[str]:
    """The same, None unless the messages hold something that is known: they may be PostgreSQL's."""
    return explain(source, conf, said) if any(re.search(pattern, said) for pattern, _ in TEXTS) else None


def require_major(source: Source, choice: Choice, image: str, major: int) -> None:
    """Raises Problem if the backup is another major version's than the image's."""
    if choice.major != str(major):
        raise Problem(
            "the backups in %s are PostgreSQL %s's, and the image %s is PostgreSQL %d, which cannot read them: set image-tag "
            "to a PostgreSQL %s" % (source.url, choice.major, image, major, choice.major)
        )


def choose_buffers(memory_bytes: int) -> str:
    """Returns shared_buffers for recovery: a quarter of the RAM, at most 8 GiB."""
    return "%dMB" % max(128, min(memory_bytes // 4, 8 * GIB) // (1024 * 1024))
