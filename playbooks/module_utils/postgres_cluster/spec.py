"""What a step is told about its node."""

from __future__ import annotations

import base64
import fcntl
import os
import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from .command import Problem
from .docker import remove_container
from .files import read_json, remove_file, write_text
from .layout import LIMITS, container_name, worker_name

LOCK = "/run/postgres-cluster.lock"
# Another run waits for the lock: a step that only waits for a server leaves.
WANTED = "/run/postgres-cluster.wanted"


class Spec(NamedTuple):
    """A node and what it shall be. Passwords are None when none were given."""

    cluster: str
    node: str
    # As asked for, e.g. `postgres:17`.
    image: str
    # What other nodes run, as far as this run knows: {"image": as asked for, "digest": `postgres@sha256:…`}.
    known: List[Dict[str, str]]
    superuser_password: Optional[str]
    replication_password: Optional[str]
    conf: str
    hba: str
    # The node that is primary after the step, and its address.
    primary: Optional[str] = None
    primary_address: Optional[str] = None
    # What the primary runs, for a clone: as in `known`.
    source: Optional[Dict[str, str]] = None
    # Whether an image may come that sorts text in another order, and a sentence that says how that is allowed.
    collation_change: bool = False
    collation_way_out: str = ""

    @property
    def is_primary(self) -> bool:
        """Whether the node shall be the primary."""
        return self.node == self.primary

    @property
    def container(self) -> str:
        return container_name(self.cluster)

    @property
    def worker(self) -> str:
        return worker_name(self.cluster)

    @property
    def slot(self) -> str:
        """Slot and application_name of the node. Trap 18: slot names are `[a-z0-9_]` only."""
        return slot_name(self.node)


class Outcome(NamedTuple):
    """What a step did. `notes` are for people: what this host could not do, what was left for them."""

    changed: bool
    # The image that the node runs now, as asked for and by digest: the nodes that follow run the same. None: it
    # runs nothing.
    image: Optional[str] = None
    digest: Optional[str] = None
    notes: List[str] = []
    # What the other node of a switchover must know, or whoever decides how it goes on.
    facts: Dict[str, Any] = {}


def slot_name(node: str) -> str:
    """`node-2` → `node_2`."""
    return node.replace("-", "_")


def copier_name(node: str) -> str:
    """application_name of whoever copies the primary for a node: with its space, none that a list of slots has."""
    return "clone of %s" % slot_name(node)


def decode(text: Optional[str]) -> Optional[str]:
    """Free text as it comes over the wire, base64; None for none.

    Ansible would read braces in it as a template. And it blots every secret argument out of whatever a
    module returns: encoded, a password that happens to be an ordinary word (`postgres`) blots out nothing
    but itself.
    """
    return base64.b64decode(text).decode("utf-8") if text else None


def read_limits() -> Dict[str, Any]:
    """What this host declares it cannot do; {} on an ordinary one."""
    limits = read_json(LIMITS)
    return limits if isinstance(limits, dict) else {}


def explain_limits(limits: Dict[str, Any]) -> List[str]:
    """Notes on what is left out because of them."""
    if limits.get("oom_score_adj", True):
        return []
    return ["PostgreSQL is not protected from the kernel's OOM killer: %s says the host cannot" % LIMITS]


def read_memory_bytes() -> int:
    """The node's RAM."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    raise Problem("/proc/meminfo has no MemTotal")


@contextmanager
def exclusive(cluster: str) -> Iterator[None]:
    """Lets one step at a time work on the node.

    A cancelled run leaves its last step running here, perhaps for hours of copying: that copy is stopped,
    and the lock comes free when the old step notices. One that waits for a server to recover or to catch up leaves it
    to the next (`is_wanted`).
    """
    with open(LOCK, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remove_container(worker_name(cluster))
            write_text(WANTED, "")
            _wait_for_lock(file)
        remove_file(WANTED)
        # Its client is gone, the container may not be.
        remove_container(worker_name(cluster))
        yield


def is_wanted() -> bool:
    """Whether another run waits for this step to end."""
    return os.path.exists(WANTED)


def _wait_for_lock(file: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.2)
    raise Problem(
        "an earlier run is still working on this node (see `fuser %s`); wait for it or stop it" % LOCK
    )
