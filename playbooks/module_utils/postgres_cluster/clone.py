"""Makes a node a replica: copies a server beside existing data, then replaces that data."""

from __future__ import annotations

import os
import re
import shutil
import time
from typing import Any, Dict, List, Optional, Tuple

from .basebackup import list_stages
from .command import Pending, Problem
from .control import read_head
from .docker import inspect_container, remove_container
from .files import sync_directory
from .image import Image, ensure_image
from .layout import DATA, FORMER_PRIMARY, OLD, PARTIAL, RECORD, ROOT
from .peer import Refused, ask_peer
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
from .signals import is_marked, write_signal
from .sizes import measure_directory, measure_space, show_bytes
from .spec import Outcome, Spec, explain_limits, has_waiting_run, read_limits
from .spool import forget_pushed
from .volume import require_mounted
from .work import CUT, Work, end_work, find_work, forget_work, is_same, start_work
from .worker import choose_reserve

# The names that put_in_place() uses. Other directories were moved aside by people and are kept.
ASIDE = re.compile(r"\d{8}T\d{6}Z$")
# A failure older than this happened while no run watched the copy, so the cause may be gone by now: the copy starts again.
# A run that watches collects a failure within seconds.
WATCHED_SECONDS = 300


def clone(spec: Spec, skip_wait: bool = False) -> Outcome:
    """Copies a server into a separate directory, replaces the data with the copy, and follows the primary.

    The copy runs as a unit (work.py): a later call adopts it, and puts it in place when it is done. Existing data is not
    moved until the copy is complete, and not deleted until the copy streams. A server that is still starting is waited for
    first (StillStarting), unless `skip_wait`: the caller knows that it will never be up.

    Raises Pending if the work goes on after `spec.deadline`.
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
    parameters = list_parameters(spec, image)
    notes: List[str] = []
    found = find_work(spec.cluster)
    had_server = role is not None or (found is not None and found.had_server)
    if found is not None and not is_same(found.parameters, parameters):
        end_work(spec.cluster)
        found = None
    if found is not None and found.state == "failed":
        notes = collect_failure(spec, image, found)
        found = None
    if found is None:
        forget_work()
        if judge_data() == "unrecorded" and is_standby() and _try_to_follow(spec, image):
            return _finish(spec, image, notes)
        if judge_data() == "complete" and role == "replica" and is_following(spec, read_replication(spec)):
            changed = bool(write_files(spec, image))
            swept, kept = discard_old_data(spec.node)
            return Outcome(changed or swept, spec.image, image.pinned, notes + kept)
        start_copy(spec, image, parameters, had_server)
    found = await_copy(spec)
    if found.state == "failed":
        collect_failure(spec, image, found)
    # The copy began with a stopped server. A person may have started it since.
    stop(spec)
    remove_container(spec.container)
    put_in_place()
    forget_work()
    ensure_container(spec, image)
    return _finish(spec, image, notes)


def list_parameters(spec: Spec, image: Image) -> Dict[str, Any]:
    """Returns what a copy must have in common with a wanted one to be adopted."""
    return {
        "source": spec.copied_address or spec.primary_address,
        "slot": spec.slot,
        "digest": image.pinned,
        "systemIdentifier": _read_identifier(spec),
    }


def _read_identifier(spec: Spec) -> Optional[str]:
    """Returns the primary's system identifier; None if it does not answer."""
    if spec.replication_password is None or spec.primary_address is None:
        return None
    try:
        peer = ask_peer(spec.primary_address, spec.replication_password)
    except Refused:
        return None
    return None if peer is None else peer.system_identifier


def collect_failure(spec: Spec, image: Image, found: Work) -> List[str]:
    """Forgets a copy that failed. Raises Problem, after it has started the node's own server again if that ran before: a
    replica with stale data is better than none.

    Returns notes instead if the copy can start again at once: it was cut, or it failed while nobody watched.
    """
    end_work(spec.cluster)
    problem = "%s" % found.problem
    if problem == CUT or time.time() > found.ended + WATCHED_SECONDS:
        return ["an earlier copy did not end (%s), so it was started again" % problem]
    if found.had_server and judge_data() == "complete":
        ensure_container(spec, image)
    raise Problem(problem, found.log)


def start_copy(spec: Spec, image: Image, parameters: Dict[str, Any], had_server: bool) -> None:
    """Stops the node's server and starts the unit that copies. Raises Problem, before anything is stopped, if the copy does
    not fit."""
    require_space(spec)
    write_files(spec, image)
    # A slot serves one connection at a time, and this server is about to be replaced. Its container is removed too: Docker
    # could restart it on the old data during the copy.
    stop(spec)
    remove_container(spec.container)
    name = spec.copied or spec.primary
    failure = "%s cannot copy %s (%s)" % (spec.node, name, parameters["source"])
    stages = list_stages(spec, image)
    try:
        start_work(spec.cluster, image, stages, parameters, spec.step or "clone", failure, had_server)
    except Problem:
        end_work(spec.cluster)
        if had_server:
            ensure_container(spec, image)
        raise


def require_space(spec: Spec) -> None:
    """Raises Problem if the volume has no room for the copy beside existing data."""
    if spec.needed_bytes is None:
        return
    space = measure_space(ROOT)
    # What is left of an earlier copy is deleted first.
    room = space.free + measure_directory(PARTIAL) - choose_reserve(space.capacity)
    if spec.needed_bytes > room:
        raise Problem(
            "a copy of %s needs about %s, and the volume of %s (%s) has room for %s beside its own data; nothing was "
            "changed. Make the volume larger, or delete data on it"
            % (
                spec.copied or spec.primary,
                show_bytes(spec.needed_bytes),
                spec.node,
                show_bytes(space.capacity),
                show_bytes(max(0, room)),
            )
        )


def await_copy(spec: Spec) -> Work:
    """Waits until the unit has ended. Raises Pending after `spec.deadline`, or if another run wants the node."""
    pause = 0.05
    while True:
        found = find_work(spec.cluster)
        if found is None:
            raise Problem("the work on %s was ended by another run; run again" % spec.node)
        if found.state != "running":
            return found
        if spec.deadline is not None and time.monotonic() > spec.deadline:
            raise Pending()
        if has_waiting_run():
            if spec.deadline is not None:
                raise Pending()
            raise Problem("another run came to work on %s, so this one stopped waiting; the work goes on" % spec.node)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


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
    forget_pushed()
    os.rename(PARTIAL, DATA)
    sync_directory(ROOT)


def _finish(spec: Spec, image: Image, notes: List[str]) -> Outcome:
    wait_until_ready(spec)
    wait_until_streaming(spec, catch_up=True)
    remove_container(name_aside(spec))
    identity = ask_once(spec.container, READ_IDENTITY)
    if identity is None:
        raise Problem("PostgreSQL on %s streams but answers no query" % spec.node)
    write_record(image, spec.image, *identity)
    return Outcome(True, spec.image, image.pinned, notes + explain_limits(read_limits()) + discard_old_data(spec.node)[1])


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
