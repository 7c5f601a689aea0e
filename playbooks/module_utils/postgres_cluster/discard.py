"""Deletes data that a person has decided to give up: directories that were kept, and data that cannot follow."""

from __future__ import annotations

import os
import shutil
from typing import List

from .command import Problem
from .docker import inspect_container, is_installed, remove_container
from .files import sync_directory
from .layout import DATA, RECORD, ROOT
from .server import is_accepting, is_following, is_up, name_aside, read_replication, read_role
from .server import stop as stop_server
from .signals import raise_fence
from .spec import Outcome, Spec
from .storage import KEPT_NAME
from .volume import require_mounted

# Prefix of what is being deleted: it never counts as data. Not in layout.py: the guard has a copy of that file, and a change
# of it would make every existing node outdated.
DELETED = ROOT + "/data.deleted-"


def discard(spec: Spec, names: List[str], with_data: bool) -> Outcome:
    """Deletes the directories `names` (`data.old-…`) on the node's volume and, `with_data`, the data that the node has now.

    A directory is renamed before it is deleted, so that the rest of an interrupted deletion never counts as data; the next
    call deletes that rest. Everything is checked before anything is deleted. Raises Problem for a name that is no
    directory of this volume, and for the data of a primary, of a replica that follows, or of a server that may follow.
    """
    require_mounted(spec.cluster)
    paths = [path for path in map(_locate, names) if os.path.lexists(path)]
    for path in paths:
        _require_own_directory(path)
    if with_data:
        _require_useless(spec)
    changed = _sweep()
    for path in paths:
        _delete(path)
    if with_data and _discard_data(spec):
        changed = True
    return Outcome(changed or bool(paths))


def _locate(name: str) -> str:
    if KEPT_NAME.fullmatch(name) is None:
        raise Problem("%r is no directory that was kept; nothing was deleted" % name)
    return ROOT + "/" + name


def _require_own_directory(path: str) -> None:
    """Raises Problem for a link, for a file, and for anything that is on another file system than the volume."""
    if os.path.islink(path) or not os.path.isdir(path) or os.lstat(path).st_dev != os.lstat(ROOT).st_dev:
        raise Problem(
            "%s is no directory of the data volume, so nothing was deleted. Look at what it is, and move it away" % path
        )


def _require_useless(spec: Spec) -> None:
    role = read_role(spec)
    if role == "primary" or spec.is_primary:
        raise Problem("%s is the primary, so its data was not deleted" % spec.node)
    if role == "replica" and is_following(spec, read_replication(spec)):
        raise Problem("%s follows %s by now, so its data was not deleted. Deploy instead" % (spec.node, spec.primary))
    # It may follow. One that cannot come up answers that it is starting.
    if role is None and is_up(inspect_container(spec.container)) and is_accepting():
        raise Problem(
            "PostgreSQL on %s answers, but accepts no connection: all of them may be in use. So it is not known whether it "
            "follows %s, and its data was not deleted. End some of them, and run this again" % (spec.node, spec.primary)
        )


def _discard_data(spec: Spec) -> bool:
    """Deletes the node's data; returns whether there was any. Interrupted anywhere, it leaves no data that could start as a
    primary."""
    raise_fence()
    if is_installed():
        stop_server(spec)
        remove_container(name_aside(spec))
        remove_container(spec.container)
    if is_accepting():
        raise Problem(
            "PostgreSQL still answers on %s although its container was removed, so its data was not deleted. "
            "Stop that server, and run this again" % spec.node
        )
    # First the record, as in clone.put_in_place(): without it, the data counts as unfinished.
    if os.path.exists(RECORD):
        os.unlink(RECORD)
        sync_directory(ROOT)
    if not os.path.lexists(DATA):
        return False
    _require_own_directory(DATA)
    _delete(DATA)
    return True


def _delete(path: str) -> None:
    doomed = DELETED + os.path.basename(path)
    os.rename(path, doomed)
    sync_directory(ROOT)
    _remove(doomed)


def _sweep() -> bool:
    """Finishes interrupted deletions; returns whether there were any."""
    prefix = os.path.basename(DELETED)
    left = [ROOT + "/" + name for name in sorted(os.listdir(ROOT)) if name.startswith(prefix)]
    for path in left:
        _require_own_directory(path)
        _remove(path)
    return bool(left)


def _remove(path: str) -> None:
    try:
        # Follows no link, also not one that replaces a directory meanwhile.
        shutil.rmtree(path)
    except OSError as error:
        raise Problem("%s could not be deleted whole (%s). Fix the cause, and run this again" % (path, error))
