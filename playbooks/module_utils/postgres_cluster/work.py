"""Starts, finds, watches and ends a copy, a restore or a verification, which runs on the node as a transient systemd unit (worker.py), beyond
the connection and the run that started it."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any, Dict, List, NamedTuple, Optional

from . import files, layout, sizes, stages, worker
from .boot import read_source
from .command import run
from .docker import remove_container
from .files import make_directory, read_json, remove_file, sync_directory, write_text
from .image import Image
from .layout import PARTIAL, ROOT, worker_name
from .worker import FOLDER, ORDER, PROGRESS, RUN, STATE, write_progress, write_state

# What the stages may find out (Parser.describe), and what a restore knows before.
FOUND = ("label", "damaged", "image", "lastCommit", "metTarget", "subscriptions", "method", "relations", "isDamaged", "damage")
# A transient unit is gone after a reboot, and its state says `running` without one: the work was cut.
CUT = "it was cut short: the node was restarted, or the unit was killed"
# How long the unit has to delete its partial copy. The next step deletes the rest.
STOP_SECONDS = 90


class Work(NamedTuple):
    """The work of a node. `state`: running, done (the data is complete in PARTIAL) or failed."""

    state: str
    # Of a copy {"source", "slot", "digest", "systemIdentifier"}, of a restore {"source", "time", "digest"}, of a verification
    # {"source", "token"}: see is_same().
    parameters: Dict[str, Any]
    # Seconds since the epoch.
    started: int
    ended: int
    # Bytes, by the last report.
    done: int
    total: Optional[int]
    problem: Optional[str]
    log: str
    # Whether the node's own server ran before, so that it is started again if the copy fails.
    had_server: bool
    # clone, restore or verify.
    kind: str = "clone"
    # What the stages found out (Parser.describe).
    found: Dict[str, Any] = {}


def unit_name(cluster: str) -> str:
    """Returns the name of the unit that copies, restores or verifies."""
    return "postgres-cluster-%s-clone.service" % cluster


def is_running(cluster: str) -> bool:
    """Whether the unit runs, or is ending."""
    # Most steps find none, and asking systemd takes longer than they do.
    if not os.path.exists(STATE):
        return False
    result = run(["systemctl", "show", "--property=ActiveState", unit_name(cluster)], check=False, timeout=60)
    return result.stdout.strip() in {"ActiveState=%s" % state for state in ("active", "activating", "deactivating", "reloading")}


def find_work(cluster: str) -> Optional[Work]:
    """Returns the work that runs here, or that has ended and was not collected; None without any."""
    # In this order: the unit writes its end before it ends.
    runs = is_running(cluster)
    state = read_json(STATE)
    if not isinstance(state, dict) or state.get("cluster") != cluster:
        return None
    progress = read_json(PROGRESS) or {}
    word, problem = state["state"], state.get("problem")
    if word == "running" and not runs:
        word, problem = "failed", CUT
    # An earlier version knew copies only.
    kind = state.get("kind") or "clone"
    if word == "done" and kind != "verify" and not os.path.isdir(PARTIAL):
        # It was put in place by a step that was interrupted.
        return None
    # An earlier version's copy does not say that it is a unit.
    is_unit = progress.get("detached") or progress.get("kind") == "copy"
    last = progress if word == "running" and is_unit and progress.get("started") == state["started"] else state
    return Work(
        word,
        state["parameters"],
        state["started"],
        state.get("ended") or int(time.time()),
        last.get("done") or 0,
        last.get("total"),
        problem,
        state.get("log") or "",
        bool(state.get("hadServer")),
        kind,
        {name: state.get(name) for name in FOUND},
    )


def observe_work(cluster: str) -> Optional[Dict[str, Any]]:
    """Returns the work in the shape of WorkObservation (src/cluster/observation.ts)."""
    found = find_work(cluster)
    if found is None:
        return None
    return {
        "kind": found.kind,
        "state": found.state,
        "source": found.parameters["source"],
        "doneBytes": found.done,
        "totalBytes": found.total,
        "seconds": max(0, found.ended - found.started),
        "problem": found.problem if found.state == "failed" else None,
    }


def is_same(parameters: Dict[str, Any], wanted: Dict[str, Any]) -> bool:
    """Whether a copy is the one that is wanted. A system identifier that one side does not know is not compared."""
    for name, value in wanted.items():
        found = parameters.get(name)
        if found != value and not (name == "systemIdentifier" and None in (found, value)):
            return False
    return True


def start_work(
    cluster: str,
    image: Optional[Image],
    stages: List[Dict[str, Any]],
    parameters: Dict[str, Any],
    step: str,
    failure: str,
    had_server: bool,
    kind: str = "clone",
    facts: Optional[Dict[str, Any]] = None,
) -> None:
    """Starts the unit. `image`: that of the data it makes, None for a verification; `stages`, one after the other: {"kind": of
    the progress, "parser": see stages.py, "attempts": commands, of which a later one may be tried if the earlier one
    failed}; `failure`: the sentence that begins the message if one fails; `facts`: the "label" of the backup that is
    restored, whether it is "damaged", and the "image" that it was made with."""
    if image is not None:
        make_directory(PARTIAL, 0o700, image.owner)
    for folder, mode in ((RUN, 0o755), (FOLDER, 0o700), (FOLDER + "/postgres_cluster", 0o700)):
        make_directory(folder, mode)
    for name, text in list_sources().items():
        write_text("%s/postgres_cluster/%s" % (FOLDER, name), text, 0o600)
    order = {"container": worker_name(cluster), "stages": stages, "step": step, "failure": failure, "work": kind}
    write_text(ORDER, json.dumps(order), 0o600)
    started = int(time.time())
    write_progress(step, stages[0]["kind"], 0, None, started, detached=True)
    # Before the unit: a unit that ended at once must find it.
    state = {"cluster": cluster, "state": "running", "parameters": parameters, "started": started, "hadServer": had_server}
    write_state({**state, "kind": kind, **(facts or {})})
    run(list_unit_arguments(cluster), timeout=60)


def list_unit_arguments(cluster: str) -> List[str]:
    """Returns the command that starts the unit (systemd-run(1))."""
    properties = {
        "Description": "Data of a PostgreSQL server for cluster %s" % cluster,
        # Nothing is left of a unit that ended; its end is in STATE. It is never restarted: a step decides.
        "CollectMode": "inactive-or-failed",
        # Stopped before Docker, which it needs to remove its container, and before its volume is unmounted.
        "After": "docker.service",
        "RequiresMountsFor": ROOT,
        # Only the program gets the signal: it removes the container, whose client would otherwise end first.
        "KillMode": "mixed",
        "TimeoutStopSec": str(STOP_SECONDS),
        "WorkingDirectory": FOLDER,
        "UMask": "0077",
    }
    options = ["--property=%s=%s" % item for item in properties.items()]
    program = ["/usr/bin/python3", "-B", "-m", "postgres_cluster.worker"]
    return ["systemd-run", "--quiet", "--unit=" + unit_name(cluster), "--service-type=exec", *options, *program]


def list_sources() -> Dict[str, str]:
    """Returns {file name: text} of the program."""
    modules = (files, layout, sizes, stages, worker)
    return {"__init__.py": "", **{module.__name__.rsplit(".", 1)[-1] + ".py": read_source(module) for module in modules}}


def restore_folder() -> str:
    """Returns the folder with the configuration of a restore."""
    return RUN + "/restore"


def forget_work() -> None:
    """Forgets work that has ended."""
    remove_file(STATE)
    remove_file(PROGRESS)
    shutil.rmtree(restore_folder(), ignore_errors=True)
    if os.path.isdir(ROOT):
        sync_directory(ROOT)


def end_work(cluster: str) -> bool:
    """Stops the unit if it runs, deletes its copy and forgets it; returns whether there was any work."""
    if not os.path.exists(STATE):
        return False
    # It may be gone by now.
    run(["systemctl", "stop", unit_name(cluster)], check=False, timeout=STOP_SECONDS + 60)
    remove_container(worker_name(cluster))
    shutil.rmtree(PARTIAL, ignore_errors=True)
    forget_work()
    return True
