"""How the PostgreSQL container is made. Pure: one function from facts to arguments, so that a container
can be compared with the one that would be made today (trap 14)."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Mapping

from .image import Image
from .layout import (
    CONF,
    CONTAINER_DATA,
    CONTAINER_ETC,
    DATA,
    ETC,
    HBA,
    SOCKETS,
    container_name,
)

LABEL_OPTIONS = "postgres-cluster.options"
LABEL_IMAGE = "postgres-cluster.image"

# Trap 9: Docker's ten seconds would kill a server in the middle of its shutdown checkpoint. Dockerd too
# waits this long when the host goes down.
STOP_SECONDS = 300

MIB = 1024 * 1024


def list_container_arguments(
    cluster: str, image: Image, memory_bytes: int, limits: Mapping[str, Any]
) -> List[str]:
    """The arguments of `docker run -d`, labels included.

    `memory_bytes` is the node's RAM; `limits` says what its kernel does not allow, e.g.
    `{"oom_score_adj": false}`.
    """
    options = _list_options(cluster, image, memory_bytes, limits)
    server = [
        image.pinned,
        "-D",
        CONTAINER_DATA,
        "-c",
        "config_file=%s/%s" % (CONTAINER_ETC, CONF),
        "-c",
        "hba_file=%s/%s" % (CONTAINER_ETC, HBA),
        "-c",
        "unix_socket_directories=" + SOCKETS,
    ]
    digest = hashlib.sha256(json.dumps(options + server).encode("utf-8")).hexdigest()
    labels = [
        "--label",
        "%s=%s" % (LABEL_OPTIONS, digest),
        "--label",
        "%s=%s" % (LABEL_IMAGE, json.dumps(image._asdict(), sort_keys=True)),
    ]
    return options + labels + server


def list_worker_arguments(name: str, image: Image, network: str) -> List[str]:
    """The beginning of `docker run` for a container that does one piece of work and goes, as the owner of the data and
    with no right beyond that."""
    owner = "%d:%d" % image.owner
    arguments = ["docker", "run", "--rm", "--name", name, "--network", network, "--user", owner]
    return [*arguments, "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]


def _list_options(
    cluster: str, image: Image, memory_bytes: int, limits: Mapping[str, Any]
) -> List[str]:
    options = [
        "--name",
        container_name(cluster),
        # PostgreSQL sees the clients' own addresses, which pg_hba.conf is about, and no proxy is in between.
        "--network",
        "host",
        "--user",
        "%d:%d" % image.owner,
        # Not the image's entrypoint: it chowns, and initialises an empty directory (traps 1 and 5).
        "--entrypoint",
        "postgres",
        # Fast shutdown.
        "--stop-signal",
        "SIGINT",
        "--stop-timeout",
        str(STOP_SECONDS),
        # Process 1 inherits what others leave behind. The postmaster would take an orphan that fails, such as what
        # a late `docker exec` or an archive_command left, for a backend that crashed, and restart the database.
        # No health check either: nothing reads it, and it makes such orphans.
        "--init",
        # Whatever the image brings.
        "--no-healthcheck",
        # Trap 13: the one supervisor.
        "--restart",
        "unless-stopped",
        "--shm-size",
        str(choose_shm_bytes(memory_bytes)),
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        # Trap 15.
        "--log-driver",
        "json-file",
        "--log-opt",
        "max-size=10m",
        "--log-opt",
        "max-file=5",
        # Trap 1: unlike --volume, a bind mount refuses a source that is missing, as on an unmounted volume.
        "--mount",
        "type=bind,source=%s,target=%s" % (DATA, CONTAINER_DATA),
        "--mount",
        "type=bind,source=%s,target=%s,readonly" % (ETC, CONTAINER_ETC),
    ]
    for volume in image.volumes:
        # What the image declares as a volume would become an anonymous one, left behind at every re-creation.
        options += ["--mount", "type=tmpfs,destination=%s,tmpfs-size=%d" % (volume, MIB)]
    options += ["--env", "PGDATA=" + CONTAINER_DATA]
    if limits.get("oom_score_adj", True):
        # The kernel kills a backend rather than the postmaster (PostgreSQL manual, 18.4.4).
        options += [
            "--oom-score-adj",
            "-900",
            "--env",
            "PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj",
            "--env",
            "PG_OOM_ADJUST_VALUE=0",
        ]
    return options


def choose_shm_bytes(memory_bytes: int) -> int:
    """Size of /dev/shm, where parallel queries meet (trap 10): the power of two below half of the RAM.

    A limit, not a reservation. Rounded, so that a kernel update which reports a few pages less does not
    make another container of it.
    """
    size = 256 * MIB
    while size * 2 <= memory_bytes // 2:
        size *= 2
    return size


def is_current(found: Dict[str, Any], arguments: List[str]) -> bool:
    """Whether a container that Docker describes is the one that these arguments would make."""
    labels = found["Config"].get("Labels") or {}
    wanted = "%s=%s" % (LABEL_OPTIONS, labels.get(LABEL_OPTIONS))
    return wanted in arguments


def read_image_label(found: Dict[str, Any]) -> "Image | None":
    """The image a container was made from, as its label tells; None for a container that is not ours."""
    label = (found["Config"].get("Labels") or {}).get(LABEL_IMAGE)
    return None if label is None else Image(**json.loads(label))
