"""What is known on a node about its backups: the run that goes on, the last one that ended, and what a step has ordered.

The unit's program writes the state; steps and observations read it. It holds no secret.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional

from .command import run
from .files import read_json, remove_file, write_text
from .layout import ROOT
from .worker import PROGRESS, RUN

STATE = ROOT + "/backup-state.json"
# What the next run is to do, whatever is due. Its program removes it at once.
ORDER = RUN + "/backup-order.json"
# The run that a step waits for: `{order}`, or `{started}` if the timer began it.
WATCHED = RUN + "/backup-watched.json"
# Held while the program runs: one backup at a time.
LOCK = RUN + "/backup.lock"


def service_name(cluster: str) -> str:
    """Returns the name of the unit that makes a backup if one is due."""
    return "postgres-cluster-%s-backup.service" % cluster


def is_active(cluster: str) -> bool:
    """Whether the unit runs, or is ending. Usually it only finds that nothing is due."""
    result = run(["systemctl", "show", "--property=ActiveState", service_name(cluster)], check=False, timeout=60)
    return result.stdout.strip() in {"ActiveState=%s" % state for state in ("active", "activating", "deactivating", "reloading")}


def read_state(cluster: str) -> Dict[str, Any]:
    """Returns the state: `running`, the run that goes on or was killed, `{type, started, order}`; `last`, the one that ended
    last, `{type, started, ended, problem, log, note, order, label, cut, closesGap}`; `succeeded`, the last that did not fail;
    `failures`, the number of those that failed since; `wal`, `{bytes, label}`, the size of the archived WAL after that backup,
    None if it could not be measured. Each may be missing."""
    state = read_json(STATE)
    return state if isinstance(state, dict) and state.get("cluster") == cluster else {"cluster": cluster}


def write_state(state: Dict[str, Any]) -> None:
    """Writes the state, flushed to disk."""
    write_text(STATE, json.dumps(state, sort_keys=True, indent=2) + "\n")


def write_order(order: Dict[str, Any]) -> None:
    """Orders a backup: `{id, type}`."""
    _write(ORDER, order)


def write_watched(watched: Dict[str, Any]) -> None:
    """Writes down which run a step waits for."""
    _write(WATCHED, watched)


def _write(path: str, document: Dict[str, Any]) -> None:
    if not os.path.isdir(RUN):
        os.mkdir(RUN, 0o755)
    write_text(path, json.dumps(document) + "\n", 0o600)


def take_order() -> Optional[Dict[str, Any]]:
    """Returns what was ordered, and forgets it."""
    order = read_json(ORDER)
    remove_file(ORDER)
    return order if isinstance(order, dict) and order.get("type") in ("full", "incremental") else None


def observe_backup_runs(cluster: str) -> Dict[str, Any]:
    """Returns `running` and `last` in the shape of BackupObservation (src/cluster/observation.ts)."""
    state = read_state(cluster)
    running, last = state.get("running"), state.get("last")
    # Without a unit the run was killed. The next one records that.
    if running is not None and not is_active(cluster):
        running = None
    return {
        "running": None if running is None else _describe(running),
        "last": None if last is None else {"ended": last["ended"], "problem": last["problem"]},
    }


def read_wal_bytes(cluster: str, newest: Optional[str]) -> Optional[int]:
    """Returns the size of the archived WAL; None if this node did not measure it after the newest backup, whose label is given:
    another node may have been the primary since."""
    wal = read_state(cluster).get("wal")
    return wal["bytes"] if isinstance(wal, dict) and newest is not None and wal.get("label") == newest else None


def _describe(running: Dict[str, Any]) -> Dict[str, Any]:
    progress = read_json(PROGRESS) or {}
    is_own = progress.get("kind") == "backup" and progress.get("started") == running["started"]
    return {
        "type": running["type"],
        "started": running["started"],
        "doneBytes": (progress.get("done") or 0) if is_own else 0,
        "totalBytes": progress.get("total") if is_own else None,
    }
