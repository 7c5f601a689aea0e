"""Creates a cluster's data from backups, in place of `initialise`."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Dict, List, Optional

from .backup_layout import BACKREST_CONF
from .clone import WATCHED_SECONDS, await_copy
from .command import Problem
from .control import read_head
from .files import read_json, remove_file, sync_directory, write_text
from .image import Image, ensure_image
from .layout import DATA, PARTIAL, ROOT
from .psql import Session
from .record import READ_IDENTITY, judge_data, list_old_data, read_record, write_record
from .restore_own import require_own_repository
from .restore_source import (
    Choice,
    Source,
    choose_backup,
    explain_known,
    locate_source,
    parse_time,
    require_major,
)
from .restore_stages import SAVED_AUTO_CONF, list_stages, write_folder
from .restored_order import note_order
from .server import ensure_container, wait_until_ready, write_files
from .sizes import measure_directory, measure_space, show_bytes
from .spec import Outcome, Spec, explain_limits, read_limits
from .spool import forget_pushed
from .stages import show_time
from .untrusted import read_untrusted
from .verification import VERIFIED
from .volume import require_mounted
from .work import CUT, Work, end_work, find_work, forget_work, is_same, restore_folder, start_work
from .worker import choose_reserve

# On the node that was restored: from what, and the identity of the data that came of it. It is written before the data is
# put in place, so that this data is recognised although it has no record yet.
RESTORED = ROOT + "/restored.json"


def restore(spec: Spec, source: Dict[str, Any], at: Optional[str], conf: str, own: str) -> Outcome:
    """Restores the node as the primary, or goes on with a restore that was interrupted. `source`: BackupSource
    (src/cluster/backup.ts); `at`: the time in RFC 3339, None for the newest moment; `conf`: a pgbackrest.conf that reads the
    source; `own`: the cluster's own, "" without backups.

    The work runs as a unit (work.py) in a directory of its own, which gets its name once it is complete. Never over data.

    Raises Pending if the work goes on after `spec.deadline`.
    """
    require_mounted(spec.cluster)
    place, moment = locate_source(source), parse_time(at)
    parameters: Dict[str, Any] = {"source": place.path, "bucket": place.bucket, "time": at}
    record = read_record()
    restored = read_restored(parameters)
    if record is not None and judge_data() == "complete":
        if restored is None or restored["systemIdentifier"] != record["systemIdentifier"]:
            raise Problem(refuse_data(spec))
        image, _ = ensure_image(record["digest"])
        changed = ensure_container(spec, image)
        wait_until_ready(spec)
        return Outcome(changed, record["image"], image.pinned, [])
    if os.path.isdir(DATA):
        if restored is None or not is_in_place(restored):
            raise Problem(refuse_data(spec))
        image, _ = ensure_image(restored["digest"])
        notes = restored["notes"]
    else:
        image, _ = ensure_image(spec.image)
        parameters["digest"] = image.pinned
        notes = create_data(spec, image, place, moment, parameters, conf, own)
    forget_work()
    remove_file("%s/%s" % (DATA, SAVED_AUTO_CONF))
    write_files(spec, image)
    ensure_container(spec, image)
    wait_until_ready(spec)
    with Session(spec.container) as session:
        locale, identifier = session.ask(READ_IDENTITY)
    writer = (read_json(RESTORED) or {}).get("image")
    notes = [*notes, *note_order(spec, image, writer), *explain_limits(read_limits())]
    write_record(image, spec.image, locale, identifier)
    return Outcome(True, spec.image, image.pinned, notes)


def refuse_data(spec: Spec) -> str:
    """Says that a node holds data."""
    return "%s holds data (%s), so nothing is restored there; nothing was changed" % (spec.node, DATA)


def read_restored(parameters: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """Returns what was recorded of a restore with these parameters; None if the node's data is not from one."""
    found = read_json(RESTORED)
    if not isinstance(found, dict) or not is_same(found.get("parameters") or {}, parameters):
        return None
    return found


def is_in_place(restored: Dict[str, Any]) -> bool:
    """Whether DATA is what that restore made. A new cluster that somebody initialised has another identifier."""
    head = read_head(DATA)
    return head is not None and str(head.system_identifier) == restored["systemIdentifier"]


def create_data(
    spec: Spec, image: Image, source: Source, moment: Optional[float], parameters: Dict[str, Any], conf: str, own: str
) -> List[str]:
    """Restores beside DATA, or adopts a restore that runs or has ended, then renames it. Returns notes for people."""
    old = list_old_data()
    if old:
        raise Problem("%s holds an earlier data directory, so nothing is restored on %s" % (old[-1], spec.node))
    notes: List[str] = []
    found = find_work(spec.cluster)
    if found is not None and (found.kind != "restore" or not is_same(found.parameters, parameters)):
        end_work(spec.cluster)
        found = None
    if found is not None and found.state == "failed":
        end_work(spec.cluster)
        if found.problem != CUT and time.time() <= found.ended + WATCHED_SECONDS:
            raise describe_failure(source, conf, found)
        notes = ["an earlier restore did not end (%s), so it was started again" % found.problem]
        found = None
    if found is None:
        forget_work()
        start_restore(spec, image, source, moment, parameters, conf, own)
    found = await_copy(spec)
    if found.state == "failed":
        end_work(spec.cluster)
        raise describe_failure(source, conf, found)
    return put_in_place(spec, source, moment, found, notes)


def start_restore(
    spec: Spec, image: Image, source: Source, moment: Optional[float], parameters: Dict[str, Any], conf: str, own: str
) -> None:
    """Chooses the backup and starts the unit. Raises Problem before anything is written if the source has no backup for that
    time, or one that does not fit, and if the cluster could not archive afterwards."""
    write_folder(spec, image, conf, source)
    try:
        choice = choose_backup(source, "%s/%s" % (restore_folder(), BACKREST_CONF), moment)
        require_major(source, choice, spec.image, image.major)
        require_space(spec, source, choice)
        require_own_repository(spec, source, choice, conf, own)
        remove_file(RESTORED)
        failure = "%s cannot restore %s (backup %s)" % (spec.node, source.url, choice.label)
        stages = list_stages(spec, image, source, choice, moment)
        backup = {"label": choice.label, "damaged": choice.damaged, "image": choice.image}
        start_work(spec.cluster, image, stages, parameters, spec.step or "restore", failure, False, "restore", backup)
    except Problem:
        end_work(spec.cluster)
        forget_work()
        raise


def require_space(spec: Spec, source: Source, choice: Choice) -> None:
    """Raises Problem if the volume has no room for the database."""
    space = measure_space(ROOT)
    room = space.free + measure_directory(PARTIAL) - choose_reserve(space.capacity)
    if choice.size > room:
        raise Problem(
            "the database in %s is %s large, and the volume of %s (%s) has room for %s; nothing was changed. Make the volume "
            "larger" % (source.url, show_bytes(choice.size), spec.node, show_bytes(space.capacity), show_bytes(max(0, room)))
        )


def describe_failure(source: Source, conf: str, found: Work) -> Problem:
    """Returns the Problem of a restore that failed. `conf`: the text of the source's configuration."""
    reason = explain_known(source, conf, found.log)
    return Problem("%s%s" % (found.problem, "" if reason is None else ". " + reason), found.log)


def put_in_place(
    spec: Spec, source: Source, moment: Optional[float], found: Work, notes: List[str]
) -> List[str]:
    """Gives the restored directory its name. Returns notes for people, which it keeps for a call that comes later."""
    overrides = read_untrusted("%s/%s" % (PARTIAL, SAVED_AUTO_CONF)) or ""
    notes = [*notes, *describe(spec, source, moment, found.found), *describe_overrides(spec, overrides)]
    head = read_head(PARTIAL)
    if head is None:
        raise Problem("%s has no control file, so it is not put in place" % PARTIAL)
    document = {
        "parameters": {name: found.parameters.get(name) for name in ("source", "bucket", "time")},
        "digest": found.parameters["digest"],
        "label": found.found.get("label"),
        "image": found.found.get("image"),
        # What a rehearsal reports.
        "seconds": max(0, found.ended - found.started),
        "lastCommit": found.found.get("lastCommit"),
        "systemIdentifier": str(head.system_identifier),
        "notes": notes,
    }
    write_text(RESTORED, json.dumps(document, sort_keys=True, indent=2) + "\n")
    # It was about other data.
    remove_file(VERIFIED)
    forget_pushed()
    os.rename(PARTIAL, DATA)
    sync_directory(ROOT)
    return notes


def describe(spec: Spec, source: Source, moment: Optional[float], found: Dict[str, Any]) -> List[str]:
    """Returns the notes on what was restored. `found`: Work.found."""
    commit = found.get("lastCommit")
    last = (
        "no transaction was committed after the backup"
        if commit is None
        else "the last transaction in it was committed at %s" % show_time(commit)
    )
    until = "the end of its archive" if moment is None else show_time(int(moment))
    if moment is not None and not found.get("metTarget"):
        until = "the end of its archive, which has no transaction after %s" % until
    notes = ["%s was restored from backup %s of %s, up to %s: %s" % (spec.node, found.get("label"), source.url, until, last)]
    if found.get("damaged"):
        notes.append(
            "pgBackRest found damaged pages when it made backup %s: run pg_amcheck, or restore to a time before it"
            % found.get("label")
        )
    if found.get("subscriptions"):
        notes.append(
            "%s was restored with its subscriptions disabled: %s. Enabled, they would take changes that the publisher keeps for "
            "the source, and miss those since the time of the restore: create them anew. Before DROP SUBSCRIPTION, ALTER SUBSCRIPTION … "
            "SET (slot_name = NONE): else the slot of the source is dropped. ALTER SUBSCRIPTION … ENABLE takes one up as it is, if the "
            "source is lost and gaps do not matter"
            % (spec.node, ", ".join(json.dumps(name, ensure_ascii=False) for name in found["subscriptions"][:20]))
        )
    return notes


def describe_overrides(spec: Spec, text: str) -> List[str]:
    """Returns a note on the settings in the source's postgresql.auto.conf, which are not taken over: they were for another
    host, and some name the source itself (its archive, its primary). Values may be secret."""
    names = sorted(set(re.findall(r"(?m)^\s*([A-Za-z_][\w.]*)\s*=", text)))
    if not names:
        return []
    return [
        "%s does not take over what ALTER SYSTEM had set in the source: %s. What is still wanted belongs into the cluster file"
        % (spec.node, ", ".join(names))
    ]
