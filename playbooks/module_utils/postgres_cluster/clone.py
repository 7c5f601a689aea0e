"""Makes a node a replica: copies the primary beside existing data, then replaces that data."""

from __future__ import annotations

import os
import re
import shutil
import time
from typing import List, Tuple

from .command import Problem, run
from .container import list_worker_arguments
from .control import read_head
from .docker import inspect_container, remove_container
from .files import make_directory, sync_directory
from .image import Image, ensure_image
from .layout import (
    CONTAINER_DATA,
    CONTAINER_ETC,
    DATA,
    ETC,
    FORMER_PRIMARY,
    OLD,
    PARTIAL,
    PASSFILE,
    RECORD,
    REPLICATION_USER,
    ROOT,
)
from .psql import ask_once
from .record import READ_IDENTITY, has_control_file, is_standby, judge_data, list_old_data, write_record
from .server import (
    LOST,
    StillStarting,
    ensure_container,
    is_following,
    is_up,
    name_aside,
    read_replication,
    read_role,
    require_role,
    stop,
    wait_until_ready,
    wait_until_streaming,
    write_files,
)
from .signals import SIGNAL, is_marked, remove_signal, write_signal
from .spec import Outcome, Spec, copier_name, explain_limits, read_limits
from .volume import require_mounted

# A missing slot must be found before hours of copying, not after. CREATE_REPLICATION_SLOT is the only command about a
# slot that a replication connection accepts in every version, and it creates a missing one. The usual answer is 42710
# (duplicate_object): the primary has created it already. pg_basebackup's own -C fails if the slot exists.
#
# With a slot, pg_basebackup reports how far the copy's WAL is flushed, and the primary treats the copy as a standby
# (PostgreSQL manual, 19.6.2): a directory that cannot start would acknowledge a commit. Our synchronous_standby_names
# never contain the copy's name. If they contain `*`, the copy uses no slot and reports nothing; the slot retains the WAL.
SCRIPT = """
answer=$(psql -X -q -v VERBOSITY=sqlstate -d "$1 replication=yes" \
  -c "CREATE_REPLICATION_SLOT $2 PHYSICAL RESERVE_WAL" 2>&1) ||
  case $answer in
    *42710*) ;;
    *) printf '%s\\n' "$answer" >&2; exit 3 ;;
  esac
names=$(psql -X -A -t -d "$1 replication=yes" -c "SHOW synchronous_standby_names") || exit 3
case $names in
  *\\**) slot=--no-slot ;;
  *) slot=--slot=$2 ;;
esac
exec pg_basebackup -d "$1" -D "$3" "$slot" -X stream --checkpoint=fast --no-sync
"""

# The names that put_in_place() uses. Other directories were moved aside by people and are kept.
ASIDE = re.compile(r"\d{8}T\d{6}Z$")


def clone(spec: Spec, skip_wait: bool = False) -> Outcome:
    """Copies the primary into a separate directory, replaces the data with the copy, and follows the primary.

    Existing data is not moved until the copy is complete, and not deleted until the copy streams. A server that is still
    starting is waited for first (StillStarting), unless `skip_wait`: the caller knows that it will never be up.
    """
    require_mounted(spec.cluster)
    role = read_role(spec)
    if role is None and not skip_wait and is_up(inspect_container(spec.container)):
        try:
            wait_until_ready(spec)
        except StillStarting as problem:
            if LOST.search(problem.log) is None:
                raise
        except Problem:
            pass
        role = read_role(spec)
    require_role(spec, role)
    # The image that the primary runs, even if another one has been requested since.
    if spec.source is None:
        raise Problem("nothing says which image %s runs, so %s cannot copy it" % (spec.primary, spec.node))
    spec = spec._replace(image=spec.source["image"])
    image, _ = ensure_image(spec.source["digest"])
    if judge_data() == "unrecorded" and is_standby() and _try_to_follow(spec, image):
        return _finish(spec, image)
    if judge_data() == "complete" and role == "replica" and is_following(spec, read_replication(spec)):
        changed = bool(write_files(spec, image))
        swept, notes = discard_old_data(spec.node)
        return Outcome(changed or swept, spec.image, image.pinned, notes)
    write_files(spec, image)
    # A slot serves one connection at a time, and this server is about to be replaced. Its container is removed too: Docker
    # could restart it on the old data during the copy.
    stop(spec)
    remove_container(spec.container)
    try:
        copy(spec, image)
    except Problem:
        # The copy may have filled the volume.
        shutil.rmtree(PARTIAL, ignore_errors=True)
        # A replica with stale data is better than no replica.
        if role is not None:
            ensure_container(spec, image)
        raise
    put_in_place()
    ensure_container(spec, image)
    return _finish(spec, image)


def _try_to_follow(spec: Spec, image: Image) -> bool:
    """Starts data from an interrupted clone that is in place but not recorded. Returns whether it follows the primary."""
    write_files(spec, image)
    try:
        ensure_container(spec, image)
        wait_until_ready(spec)
        wait_until_streaming(spec)
    except StillStarting:
        raise
    except Problem:
        return False
    return True


def copy(spec: Spec, image: Image) -> None:
    """Runs pg_basebackup into PARTIAL, in the primary's image and with the replica's own slot.

    The slot of a failed copy is kept for the next run. max_slot_wal_keep_size limits the WAL that it retains, so that it
    cannot fill the primary's disk.
    """
    shutil.rmtree(PARTIAL, ignore_errors=True)
    make_directory(PARTIAL, 0o700, image.owner)
    result = run(list_copy_arguments(spec, image), check=False)
    if result.returncode != 0:
        raise Problem("%s cannot copy %s (%s)" % (spec.node, spec.primary, spec.primary_address), result.stderr)
    # An interrupted switchover may have left the mark in the primary's data. It does not apply to the copy.
    remove_signal(FORMER_PRIMARY, PARTIAL)
    # -R would also write the connection into the data. Ours is in postgresql.conf, where the next run can change it.
    write_signal(SIGNAL, PARTIAL)
    run(["sync", "--file-system", PARTIAL])


def list_copy_arguments(spec: Spec, image: Image) -> List[str]:
    """Returns the command that copies the primary."""
    conninfo = "host=%s port=5432 user=%s passfile=%s/%s application_name='%s' connect_timeout=10" % (
        spec.primary_address,
        REPLICATION_USER,
        CONTAINER_ETC,
        PASSFILE,
        copier_name(spec.node),
    )
    return [
        *list_worker_arguments(spec.worker, image, "host"),
        "--mount",
        "type=bind,source=%s,target=%s" % (PARTIAL, CONTAINER_DATA),
        "--mount",
        "type=bind,source=%s,target=%s,readonly" % (ETC, CONTAINER_ETC),
        "--entrypoint",
        "sh",
        image.pinned,
        "-c",
        SCRIPT,
        "clone",
        conninfo,
        spec.slot,
        CONTAINER_DATA,
    ]


def put_in_place() -> None:
    """Replaces the data with the copy. Complete data is moved aside, incomplete data is deleted."""
    # First the record: without it, the data counts as unfinished.
    if os.path.exists(RECORD):
        os.unlink(RECORD)
        sync_directory(ROOT)
    if os.path.isdir(DATA):
        if has_control_file(DATA):
            # Data on an earlier timeline than the copy's may hold rows that no other node has.
            before, after = read_head(DATA), read_head(PARTIAL)
            if before is None or after is None or before.timeline < after.timeline:
                write_signal(FORMER_PRIMARY, DATA)
            os.rename(DATA, OLD + time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
        else:
            shutil.rmtree(DATA)
    os.rename(PARTIAL, DATA)
    sync_directory(ROOT)


def _finish(spec: Spec, image: Image) -> Outcome:
    wait_until_ready(spec)
    wait_until_streaming(spec, catch_up=True)
    remove_container(name_aside(spec))
    identity = ask_once(spec.container, READ_IDENTITY)
    if identity is None:
        raise Problem("PostgreSQL on %s streams but answers no query" % spec.node)
    write_record(image, spec.image, *identity)
    notes = explain_limits(read_limits()) + discard_old_data(spec.node)[1]
    return Outcome(True, spec.image, image.pinned, notes)


def discard_old_data(node: str) -> Tuple[bool, List[str]]:
    """Deletes the data that clones moved aside, after the copy streams. Returns whether there was any, and notes on data
    that is kept.

    The primary has everything that a replica had received. Data of a former primary, or of a replica that missed a
    failover, may hold rows that no other node has. Only people may decide to delete them.
    """
    notes = []
    discarded = False
    for path in list_old_data():
        if is_marked(path) or not ASIDE.match(path[len(OLD) :]):
            notes.append(
                "%s may hold rows that no other node has. Once you are sure that none is missing, delete it: run the action "
                "with `command: discard` and `discard: %s`" % (path, node)
            )
        else:
            shutil.rmtree(path)
            discarded = True
    return discarded, notes
