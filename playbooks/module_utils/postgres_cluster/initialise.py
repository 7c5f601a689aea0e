"""Initialises a new cluster, when no node holds data."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import List

from .admit import set_passwords
from .command import Problem, run
from .container import list_worker_arguments
from .files import make_directory, sync_directory
from .image import Image, ensure_image
from .layout import CONTAINER_DATA, DATA, PARTIAL, ROOT
from .psql import Session, ensure_database
from .record import READ_IDENTITY, is_standby, judge_data, list_old_data, read_record, write_record
from .server import ensure_container, wait_until_ready, write_files
from .spec import Outcome, Spec, explain_limits, read_limits
from .spool import forget_pushed
from .volume import require_mounted


def initialise(spec: Spec) -> Outcome:
    """Initialises the node as the primary, or resumes an interrupted initialisation.

    initdb is not atomic: PG_VERSION is one of the first files it writes (initdb.c). So the data directory gets its name
    only after initdb has finished, and the record is written only once the database and the roles exist.
    """
    require_mounted(spec.cluster)
    record = read_record()
    image, _ = ensure_image(spec.image if record is None else record["digest"])
    if record is not None and judge_data() == "complete":
        changed = ensure_container(spec, image)
        wait_until_ready(spec)
        return Outcome(changed, record["image"], image.pinned, [])
    if spec.superuser_password is None or spec.replication_password is None:
        raise Problem(
            "a new cluster needs both passwords; set the inputs postgres-password and replication-password"
        )
    if is_standby():
        raise Problem("%s holds a replica's data, so %s is not initialised" % (DATA, spec.node))
    notes = [] if os.path.isdir(DATA) else create_data(spec, image)
    write_files(spec, image)
    ensure_container(spec, image)
    wait_until_ready(spec)
    with Session(spec.container) as session:
        ensure_database(session)
        set_passwords(session, spec)
        locale, identifier = session.ask(READ_IDENTITY)
    write_record(image, spec.image, locale, identifier)
    return Outcome(True, spec.image, image.pinned, [*notes, *explain_limits(read_limits())])


def create_data(spec: Spec, image: Image) -> List[str]:
    """Runs initdb in a directory beside DATA, then renames it. Returns notes for people. Raises Problem if the volume
    holds earlier data."""
    old = list_old_data()
    if old:
        raise Problem("%s holds an earlier data directory, so %s is not initialised" % (old[-1], spec.node))
    notes: List[str] = []
    result = _run_initdb(spec, image, list_locale_arguments(image.major))
    if result.returncode != 0 and 'invalid locale name "C.UTF-8"' in result.stderr:
        notes = [
            "%s has no locale C.UTF-8, so the databases have C: upper() and lower() know ASCII letters only" % spec.image
        ]
        result = _run_initdb(spec, image, ["--locale=C"])
    if result.returncode != 0:
        # 128 + SIGBUS, of the container or of the child that initdb reports: PostgreSQL tries huge pages by default
        # (manual, 18.4.5 "Linux Huge Pages"), and touching one beyond the container's limit is a bus error.
        hint = (
            ". The host reserves huge pages that a container may not use: set vm.nr_hugepages to 0"
            if result.returncode == 135 or "Bus error" in result.stderr
            else ""
        )
        raise Problem("initdb failed with exit code %d%s" % (result.returncode, hint), result.stderr)
    run(["sync", "--file-system", PARTIAL])
    forget_pushed()
    os.rename(PARTIAL, DATA)
    sync_directory(ROOT)
    return notes


def list_locale_arguments(major: int) -> List[str]:
    """Returns initdb's arguments for a sort order that no library update changes (PostgreSQL manual, 23.1.4 "Locale
    Providers"): by code point, with Unicode's letters for upper() and lower()."""
    locale = ["--locale=C.UTF-8"]
    return [*locale, "--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else locale


def _run_initdb(spec: Spec, image: Image, locale: List[str]) -> "subprocess.CompletedProcess[str]":
    shutil.rmtree(PARTIAL, ignore_errors=True)
    make_directory(PARTIAL, 0o700, image.owner)
    return run(
        [
            *list_worker_arguments(spec.worker, image, "none"),
            "--mount",
            "type=bind,source=%s,target=%s" % (PARTIAL, CONTAINER_DATA),
            "--entrypoint",
            "initdb",
            image.pinned,
            "--pgdata=" + CONTAINER_DATA,
            "--username=postgres",
            "--encoding=UTF8",
            *locale,
            "--data-checksums",
            "--auth-local=peer",
            "--auth-host=scram-sha-256",
            # Flushed once afterwards instead of file by file.
            "--no-sync",
        ],
        check=False,
    )
