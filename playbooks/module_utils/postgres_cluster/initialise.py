"""Making the cluster's data, where no node holds any."""

from __future__ import annotations

import os
import shutil

from .admit import set_passwords
from .command import Problem, run
from .container import list_worker_arguments
from .files import make_directory, sync_directory
from .image import Image, ensure_image
from .layout import CONTAINER_DATA, DATA, PARTIAL, ROOT
from .psql import Session
from .record import READ_IDENTITY, is_standby, judge_data, list_old_data, read_record, write_record
from .server import ensure_container, wait_until_ready, write_files
from .spec import Outcome, Spec, explain_limits, read_limits
from .volume import require_mounted


def initialise(spec: Spec) -> Outcome:
    """Initialises the node as the primary, or goes on where an interrupted run stopped.

    Trap 2: every stage leaves what the next run recognises. The data directory appears under its name only
    when initdb is through, and the record only when the roles exist as well.
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
            "a new cluster needs both passwords; give the inputs postgres-password and replication-password"
        )
    if is_standby():
        raise Problem("%s holds a replica's data, so %s is not initialised" % (DATA, spec.node))
    if not os.path.isdir(DATA):
        create_data(spec, image)
    write_files(spec, image)
    ensure_container(spec, image)
    wait_until_ready(spec)
    with Session(spec.container) as session:
        set_passwords(session, spec)
        locale, identifier = session.ask(READ_IDENTITY)
    write_record(image, spec.image, locale, identifier)
    return Outcome(True, spec.image, image.pinned, explain_limits(read_limits()))


def create_data(spec: Spec, image: Image) -> None:
    """Runs initdb beside the place of the data, then renames. Refuses where other data lies on the volume."""
    old = list_old_data()
    if old:
        raise Problem("%s holds an earlier data directory, so %s is not initialised" % (old[-1], spec.node))
    shutil.rmtree(PARTIAL, ignore_errors=True)
    make_directory(PARTIAL, 0o700, image.owner)
    result = run(
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
            "--data-checksums",
            "--auth-local=peer",
            "--auth-host=scram-sha-256",
            # Flushed below in one go instead of file by file.
            "--no-sync",
        ],
        check=False,
    )
    if result.returncode != 0:
        # 128 + SIGBUS, of the container or of the child that initdb reports (trap 10).
        hint = (
            ". The host reserves huge pages that a container may not use: set vm.nr_hugepages to 0"
            if result.returncode == 135 or "Bus error" in result.stderr
            else ""
        )
        raise Problem("initdb failed with exit code %d%s" % (result.returncode, hint), result.stderr)
    run(["sync", "--file-system", PARTIAL])
    os.rename(PARTIAL, DATA)
    sync_directory(ROOT)
