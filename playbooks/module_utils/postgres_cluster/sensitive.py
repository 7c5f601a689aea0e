"""Settings that a replica must have at least as large as its primary (PostgreSQL manual, 26.4.3).

What the primary runs with stands in the replica's own control file as soon as the replica has replayed that
far. A server started with less ends at once, or pauses its recovery (trap 23).
"""

from __future__ import annotations

import re
import time
from typing import Dict

from .command import Problem, run
from .layout import CONTAINER_DATA
from .server import Following, read_replication
from .spec import Spec, is_wanted

# How long a replica may stand still before it has replayed what its primary wrote when it restarted.
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
    """The sensitive settings in what pg_controldata prints under LC_ALL=C. Raises Problem when it lacks one:
    not knowing must not pass for enough."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    missing = [label for label in LABELS.values() if label not in lines]
    if missing:
        raise Problem("pg_controldata does not say: %s" % ", ".join(missing), text)
    return {name: int(lines[label]) for name, label in LABELS.items()}


def parse_conf(text: str) -> Dict[str, int]:
    """The sensitive settings in a postgresql.conf as this product renders it."""
    found = re.findall(r"^(\w+) = '(\d+)'$", text, re.MULTILINE)
    return {name: int(value) for name, value in found if name in LABELS}


def find_too_low(conf: str, control: Dict[str, int]) -> Dict[str, int]:
    """What would have to be larger in `conf` for a replica to start: {setting: smallest possible value}."""
    wanted = parse_conf(conf)
    return {name: control[name] for name, value in wanted.items() if value < control.get(name, 0)}


def raise_conf(conf: str, floor: Dict[str, int]) -> str:
    """The text with these settings at these values."""
    for name, value in floor.items():
        conf = re.sub(r"(?m)^%s = '\d+'$" % name, "%s = '%d'" % (name, value), conf)
    return conf


def wait_for_primary(spec: Spec) -> None:
    """Waits until this replica has replayed a primary that runs with no more than the replica's new settings, for as
    long as it catches up. Raises Problem when it does not come to that; nothing has been stopped then."""
    deadline = time.monotonic() + REPLAY_SECONDS
    follow = Following(spec, catch_up=True)
    while True:
        command = ["docker", "exec", "--env", "LC_ALL=C", spec.container, "pg_controldata", CONTAINER_DATA]
        floor = find_too_low(spec.conf, parse_control(run(command, timeout=60).stdout))
        if not floor:
            return
        # Once it has what the primary had written, nothing more is to come.
        if not follow.take(read_replication(spec)) and follow.take_moved():
            deadline = time.monotonic() + REPLAY_SECONDS
        if is_wanted():
            raise Problem("another run came to work on %s, so it was not restarted" % spec.node)
        if time.monotonic() > deadline:
            wanted = ", ".join("%s %d" % item for item in sorted(floor.items()))
            raise Problem(
                "%s was not restarted: its primary runs with %s, and a replica must have at least as much"
                % (spec.node, wanted)
            )
        time.sleep(0.2)
