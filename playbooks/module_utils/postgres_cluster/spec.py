"""The input and the outcome of a step, and the lock that lets one step at a time work on a node."""

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
from .work import end_work, is_running

LOCK = "/run/postgres-cluster.lock"
# Exists while another run waits for the lock: a step that only waits for a server then ends.
WAITING = "/run/postgres-cluster.wanted"
# Steps that leave a copy or a restore running: those that may have started it, and those that touch neither server nor data.
WITH_WORK = ("clone", "start", "restore", "check", "archive", "backup", "verify", "record", "wal")


class Spec(NamedTuple):
    """A node and its desired state. Passwords are None if not given."""

    cluster: str
    node: str
    # As configured, e.g. `postgres:17`.
    image: str
    # The images of other nodes, as far as this run knows: {"image": as configured, "digest": `postgres@sha256:…`}.
    known: List[Dict[str, str]]
    superuser_password: Optional[str]
    replication_password: Optional[str]
    conf: str
    hba: str
    # The primary after the step, and its address.
    primary: Optional[str] = None
    primary_address: Optional[str] = None
    # The image of the primary, for a clone: as in `known`.
    source: Optional[Dict[str, str]] = None
    # Whether an image with another sort order is allowed, and a sentence that says how to allow it.
    collation_change: bool = False
    collation_way_out: str = ""
    # What a clone copies, the primary by default; the most that is sent, in kB per second; the size of the copy in bytes.
    copied: Optional[str] = None
    copied_address: Optional[str] = None
    max_rate: Optional[int] = None
    needed_bytes: Optional[int] = None
    step: str = ""
    # A start that may take WAL from the archive: what the primary says about its own (catch_up.py); the position up to which the
    # replica takes it from there, 0 if it does not.
    wal: Optional[Dict[str, Any]] = None
    archived_until: int = 0
    # When the call is to end if its work can go on without it (time.monotonic()); None: when the work is done.
    deadline: Optional[float] = None

    @property
    def is_primary(self) -> bool:
        """Whether the node is the primary after the step."""
        return self.node == self.primary

    @property
    def container(self) -> str:
        return container_name(self.cluster)

    @property
    def worker(self) -> str:
        return worker_name(self.cluster)

    @property
    def slot(self) -> str:
        """The node's slot and application_name. Slot names allow only `[a-z0-9_]` (PostgreSQL manual, 26.2.6.1)."""
        return slot_name(self.node)


class Outcome(NamedTuple):
    """The result of a step. `notes` tell people what this host could not do and what is left to them."""

    changed: bool
    # The image that the node runs now, as configured and by digest: later nodes run the same. None: it runs nothing.
    image: Optional[str] = None
    digest: Optional[str] = None
    notes: List[str] = []
    # For the other node of a switchover, and for the tasks that decide how to continue.
    facts: Dict[str, Any] = {}


def slot_name(node: str) -> str:
    """`node-2` → `node_2`."""
    return node.replace("-", "_")


def copier_name(node: str) -> str:
    """Returns the application_name of a node's clone. The space keeps it apart from all slot names."""
    return "clone of %s" % slot_name(node)


def decode(text: Optional[str]) -> Optional[str]:
    """Decodes free text, which is passed as base64; returns None for None or "".

    Ansible would treat braces in it as a template. It also masks the value of every secret argument in a module's output:
    a password that is an ordinary word (`postgres`) would mask that word everywhere, its encoded form does not.
    """
    return base64.b64decode(text).decode("utf-8") if text else None


def read_limits() -> Dict[str, Any]:
    """Returns what this host declares that it cannot do; {} on an ordinary host."""
    limits = read_json(LIMITS)
    return limits if isinstance(limits, dict) else {}


def explain_limits(limits: Dict[str, Any]) -> List[str]:
    """Returns notes on what is left out because of these limits."""
    if limits.get("oom_score_adj", True):
        return []
    return ["PostgreSQL is not protected from the kernel's OOM killer: %s says the host cannot" % LIMITS]


def read_memory_bytes() -> int:
    """Returns the node's RAM in bytes."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    raise Problem("/proc/meminfo has no MemTotal")


def leaves_work(step: str, discards_data: bool = False) -> bool:
    """Whether a step leaves a copy running. Of `discard`, the part that deletes kept directories does: it makes room for it."""
    return step in WITH_WORK or (step == "discard" and not discards_data)


@contextmanager
def exclusive(cluster: str, ends_work: bool) -> Iterator[None]:
    """Lets one step at a time work on the node. `ends_work`: a copy ends first.

    A cancelled run leaves its last step running here. If it waits for a copy, for recovery or for replay, it ends
    (`has_waiting_run`). If it is an initialisation, its container is removed, and the lock is free once the old step
    notices. A copy itself runs in a unit: `clone` and `start` adopt it, and most other steps end it first.
    """
    with open(LOCK, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            write_text(WAITING, "")
            if not is_running(cluster):
                remove_container(worker_name(cluster))
            _wait_for_lock(file)
        remove_file(WAITING)
        if ends_work:
            end_work(cluster)
        # The step that started it has ended, but the container may still run.
        if not is_running(cluster):
            remove_container(worker_name(cluster))
        yield


def has_waiting_run() -> bool:
    """Whether another run waits for this step to end."""
    return os.path.exists(WAITING)


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
