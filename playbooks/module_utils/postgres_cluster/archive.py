"""Begins to archive WAL into the repository of backups, changes how, or ends it.

PostgreSQL's archive_command looks for pgbackrest.conf, so archiving begins with the rename of that file and ends with its
removal, without a restart or a reload.
"""

from __future__ import annotations

import os
import time
from typing import Any, Tuple

from .archive_push import note_dropped
from .archive_status import reopen_histories
from .backrest_errors import explain_failure, is_about_role, name_bucket, read_option
from .backup_layout import BACKREST_CONF, BACKUP_JSON, TOOLS
from .cipher import PASS, require_same, write_conf
from .command import Problem, run
from .docker import inspect_container
from .files import make_directory, read_text, remove_file, write_text
from .image import ensure_image
from .layout import CONTAINER_ETC, ETC
from .psql import read_major, render_options
from .record import read_record
from .repository import is_same_place, read_repository
from .server import is_up
from .spec import Outcome, Spec
from .spool import forget_pushed

# A new configuration has this name until its repository is known to work.
NEXT = BACKREST_CONF + ".next"
# An endpoint that does not answer: pgBackRest gives up after about nine times --io-timeout.
STANZA_SECONDS = 180
# A role that was made or changed a moment ago counts everywhere only after a while (IAM User Guide, "Troubleshoot IAM":
# "Changes that I make are not always immediately visible").
NEW_ROLE_SECONDS = 60
RETRY_SECONDS = 5
# Noted in place of WAL files whose names nobody knows.
WHILE_OFF = "written-while-nothing-was-archived"


def archive(spec: Spec, conf: str, schedule: str) -> Outcome:
    """Writes pgbackrest.conf and backup.json; removes both if `conf` is empty. The primary first creates the stanza in the
    repository. The step's other nodes archive once they are the primary.

    Raises Problem, with nothing changed, if the repository cannot be used.
    """
    path = "%s/%s" % (ETC, BACKREST_CONF)
    before = read_text(path) or ""
    if not conf:
        # In this order: the backup program leaves at once without the first.
        for name in (BACKREST_CONF, BACKUP_JSON):
            remove_file("%s/%s" % (ETC, name))
        forget_pushed()
        return Outcome(bool(before))
    record = read_record()
    if record is None:
        raise Problem("%s has no complete data, so nothing of it can be archived" % spec.node)
    if not os.path.exists(TOOLS + "/pgbackrest"):
        raise Problem("%s/pgbackrest is missing on %s; run this again, which installs it first" % (TOOLS, spec.node))
    make_directory(ETC)
    owner = ensure_image(record["digest"])[0].owner if read_option(conf, PASS) else (0, 0)
    is_other = not is_same_place(before, conf)
    if spec.is_primary:
        if before and not is_other:
            require_same(before, conf)
        create_stanza(spec, conf, owner, is_new=is_other)
    if is_other:
        forget_pushed()
    changed = write_text("%s/%s" % (ETC, BACKUP_JSON), schedule)
    changed = write_conf(path, conf, owner) or changed
    # After the file: without it, PostgreSQL notes them as archived at once. pgBackRest accepts them twice.
    if spec.is_primary:
        reopen_histories()
    return Outcome(changed)


def create_stanza(spec: Spec, conf: str, owner: Tuple[int, int], is_new: bool) -> None:
    """Creates the cluster's stanza in the repository that `conf` names, unless it is there. Raises Problem if that cannot be
    done, for example because the repository holds the backups of another database.

    `owner`: (uid, gid) of the server's user; `is_new`: nothing is archived there yet, or not lately. If the repository has backups all the same, WAL of the time since then is missing, and
    only a new full backup closes that gap: it is noted as dropped WAL is.
    """
    found = inspect_container(spec.container)
    if not is_up(found):
        raise Problem("PostgreSQL on %s does not run, so its archive cannot be created. Run this again" % spec.node)
    if not any(mount.get("Destination") == TOOLS for mount in (found or {}).get("Mounts") or []):
        raise Problem(
            "the container of %s was made by an earlier version and does not mount %s. Its next restart, which is part of "
            "a deploy, changes that" % (spec.node, TOOLS)
        )
    path = "%s/%s" % (ETC, NEXT)
    write_conf(path, conf, owner)
    try:
        deadline = time.monotonic() + (NEW_ROLE_SECONDS if is_new else 0)
        while True:
            result = _run_stanza_create(spec)
            said = (result.stderr or result.stdout).strip()
            if result.returncode == 0:
                break
            if not is_about_role(said) or time.monotonic() >= deadline:
                sentence = explain_failure(result.returncode, said, conf)
                raise Problem("%s cannot archive into %s: %s" % (spec.node, name_bucket(conf), sentence), said[-4000:])
            time.sleep(RETRY_SECONDS)
        if is_new:
            repository = read_repository(spec.cluster, path)
            if repository["problem"] is not None:
                raise Problem("%s cannot read its backups: %s" % (spec.node, repository["problem"]))
            if repository["backups"]:
                note_dropped([WHILE_OFF])
    finally:
        remove_file(path)


def _run_stanza_create(spec: Spec) -> Any:
    return run(
        [
            # As in backup_run.py: the session is not what a database or a role has as its settings.
            *["docker", "exec", "-e", "PGOPTIONS=" + render_options(read_major()), spec.container],
            TOOLS + "/pgbackrest",
            "--config=%s/%s" % (CONTAINER_ETC, NEXT),
            "--stanza=" + spec.cluster,
            # Not the one that archiving and backups hold: they may go on.
            "--lock-path=/tmp/pgbackrest-stanza",
            "--io-timeout=10",
            "--log-level-console=off",
            "--log-level-stderr=error",
            "stanza-create",
        ],
        check=False,
        timeout=STANZA_SECONDS,
    )
