"""Making a node a replica: a copy of the primary beside whatever is there."""

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

# Trap 17: a missing slot must show before hours of copying, not after them. Asking for the slot to be made
# is the one question about it that a replication connection answers in every version, and it also makes the
# slot where it is missing. 42710 (duplicate_object) is the usual answer: the primary has made it already.
# pg_basebackup's own -C fails on a slot that exists (trap 16).
#
# Over a slot pg_basebackup tells the primary how far the copy's WAL is flushed, and the primary takes that for what
# a standby has (PostgreSQL manual, 19.6.2): a commit would be acknowledged by a directory that cannot start. Its
# name stands in no list of ours; where somebody wrote `*` it says nothing, and the slot keeps the WAL unused.
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

# What put_in_place() names so; a directory that a person moved aside is theirs.
ASIDE = re.compile(r"\d{8}T\d{6}Z$")


def clone(spec: Spec, is_judged: bool = False) -> Outcome:
    """Copies the primary into a directory of its own, puts it in the place of the data, and follows.

    Trap 16: until the copy is whole nothing here is touched; until it streams, nothing is thrown away. A server that is
    still starting is waited for first (StillStarting), unless the caller has judged that it never comes up.
    """
    require_mounted(spec.cluster)
    role = read_role(spec)
    if role is None and not is_judged and is_up(inspect_container(spec.container)):
        try:
            wait_until_ready(spec)
        except StillStarting as problem:
            if LOST.search(problem.log) is None:
                raise
        except Problem:
            pass
        role = read_role(spec)
    require_role(spec, role)
    # The primary's own image, also where another one is asked for by now.
    if spec.source is None:
        raise Problem("nothing says which image %s runs, so %s cannot copy it" % (spec.primary, spec.node))
    spec = spec._replace(image=spec.source["image"])
    image, _ = ensure_image(spec.source["digest"])
    if judge_data() == "unrecorded" and is_standby() and _try_to_follow(spec, image):
        return _finish(spec, image)
    if judge_data() == "complete" and role == "replica" and is_following(spec, read_replication(spec)):
        changed = bool(write_files(spec, image))
        swept, notes = discard_old_data()
        return Outcome(changed or swept, spec.image, image.pinned, notes)
    write_files(spec, image)
    # The slot serves one at a time, and the server here is about to be replaced. The container goes as well:
    # one that Docker keeps restarting would come up on the old data in the middle of it.
    stop(spec)
    remove_container(spec.container)
    try:
        copy(spec, image)
    except Problem:
        # It may be a full volume that failed.
        shutil.rmtree(PARTIAL, ignore_errors=True)
        # Stale reads are better than none.
        if role is not None:
            ensure_container(spec, image)
        raise
    put_in_place()
    ensure_container(spec, image)
    return _finish(spec, image)


def _try_to_follow(spec: Spec, image: Image) -> bool:
    """Whether data from an interrupted clone, in place but not recorded, follows the primary once started."""
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
    """pg_basebackup into PARTIAL, by the image the primary runs, over the replica's own slot.

    A slot that a failed copy leaves behind stays: the next run uses it, and max_slot_wal_keep_size bounds
    what it costs the primary meanwhile (trap 20).
    """
    shutil.rmtree(PARTIAL, ignore_errors=True)
    make_directory(PARTIAL, 0o700, image.owner)
    result = run(list_copy_arguments(spec, image), check=False)
    if result.returncode != 0:
        raise Problem("%s cannot copy %s (%s)" % (spec.node, spec.primary, spec.primary_address), result.stderr)
    # What a switchover that was interrupted left in the primary is not the copy's.
    remove_signal(FORMER_PRIMARY, PARTIAL)
    # -R would do this and also write the connection into the data; ours stands in postgresql.conf, where the
    # next run can change it.
    write_signal(SIGNAL, PARTIAL)
    run(["sync", "--file-system", PARTIAL])


def list_copy_arguments(spec: Spec, image: Image) -> List[str]:
    """The command that copies the primary."""
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
    """Renames the copy to the data's place. Data that was whole goes aside, a torso is deleted."""
    # First the record: from here on the data is unfinished work.
    if os.path.exists(RECORD):
        os.unlink(RECORD)
        sync_directory(ROOT)
    if os.path.isdir(DATA):
        if has_control_file(DATA):
            # Data on an earlier timeline than the copy's may hold what nobody else has.
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
        raise Problem("PostgreSQL on %s streams but answers no question" % spec.node)
    write_record(image, spec.image, *identity)
    notes = explain_limits(read_limits()) + discard_old_data()[1]
    return Outcome(True, spec.image, image.pinned, notes)


def discard_old_data() -> Tuple[bool, List[str]]:
    """Deletes what clones moved aside, now that the copy streams; gives whether there was any, and notes on
    what is kept.

    What a replica had received the primary has too. Data of a former primary, or of a replica that was left
    behind by a failover, may hold rows that nobody else has: whether to lose them is for people to say.
    """
    notes = []
    discarded = False
    for path in list_old_data():
        if is_marked(path) or not ASIDE.match(path[len(OLD) :]):
            notes.append("%s may hold rows that nobody else has; delete it when nobody misses one" % path)
        else:
            shutil.rmtree(path)
            discarded = True
    return discarded, notes
