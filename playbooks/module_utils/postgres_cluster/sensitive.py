"""Settings that must be at least as large on a replica as on its primary (PostgreSQL manual, 26.4.3).

The replica's control file has its primary's values once it has replayed them. A replica started with less ends at once;
one that meets a higher value during replay pauses replay, but keeps accepting connections
(RecoveryRequiresIntParameter in xlogrecovery.c; xlog.c in 14).
"""

from __future__ import annotations

import re
import time
from typing import Dict

from .command import Problem, run
from .layout import CONTAINER_DATA
from .server import ReplicaProgress, read_replication
from .spec import Spec, has_waiting_run

# How long a replica may stall before it has replayed the values that its primary was restarted with.
REPLAY_SECONDS = 60

# pg_controldata's label by setting.
LABELS = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}


def parse_control(text: str) -> Dict[str, int]:
    """Returns the sensitive settings in the output of pg_controldata under LC_ALL=C. Raises Problem if one is missing: an
    unknown value must not count as low enough."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    missing = [label for label in LABELS.values() if label not in lines]
    if missing:
        raise Problem("pg_controldata does not say: %s" % ", ".join(missing), text)
    return {name: int(lines[label]) for name, label in LABELS.items()}


def parse_conf(text: str) -> Dict[str, int]:
    """Returns the sensitive settings in a postgresql.conf that this product rendered."""
    found = re.findall(r"^(\w+) = '(\d+)'$", text, re.MULTILINE)
    return {name: int(value) for name, value in found if name in LABELS}


def find_too_low(conf: str, control: Dict[str, int]) -> Dict[str, int]:
    """Returns the settings that are too low in `conf` for a replica to start: {setting: smallest possible value}."""
    wanted = parse_conf(conf)
    return {name: control[name] for name, value in wanted.items() if value < control.get(name, 0)}


def raise_conf(conf: str, floor: Dict[str, int]) -> str:
    """Returns the text with these settings at these values."""
    for name, value in floor.items():
        conf = re.sub(r"(?m)^%s = '\d+'$" % name, "%s = '%d'" % (name, value), conf)
    return conf


def wait_for_primary(spec: Spec) -> None:
    """Waits until this replica has replayed that its primary runs with no more than the replica's new settings, for as long
    as replay advances. Raises Problem if it stalls or catches up without that; nothing has been stopped then."""
    deadline = time.monotonic() + REPLAY_SECONDS
    progress = ReplicaProgress(spec, catch_up=True)
    while True:
        command = ["docker", "exec", "--env", "LC_ALL=C", spec.container, "pg_controldata", CONTAINER_DATA]
        floor = find_too_low(spec.conf, parse_control(run(command, timeout=60).stdout))
        if not floor:
            return
        # Once it has caught up with what the primary had written, waiting longer does not help.
        if not progress.update(read_replication(spec)) and progress.pop_advanced():
            deadline = time.monotonic() + REPLAY_SECONDS
        if has_waiting_run():
            raise Problem("another run came to work on %s, so it was not restarted" % spec.node)
        if time.monotonic() > deadline:
            wanted = ", ".join("%s %d" % item for item in sorted(floor.items()))
            raise Problem(
                "%s was not restarted: its primary runs with %s, and a replica must have at least as much"
                % (spec.node, wanted)
            )
        time.sleep(0.2)
