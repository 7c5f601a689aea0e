"""The arguments of the PostgreSQL container, computed from facts only. An existing container is compared with them, so that
no invisible difference recreates it, which would be an unplanned restart."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Mapping

from .backup_layout import CONTAINER_SPOOL, SPOOL, TOOLS
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

# Docker's default of ten seconds would kill a server during its shutdown checkpoint. dockerd also waits this long when the
# host shuts down.
STOP_SECONDS = 300

MIB = 1024 * 1024


def list_container_arguments(
    cluster: str, image: Image, memory_bytes: int, limits: Mapping[str, Any]
) -> List[str]:
    """Returns the arguments of `docker run -d`, labels included.

    `memory_bytes`: the node's RAM. `limits`: what its kernel does not allow, e.g. `{"oom_score_adj": false}`.
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
    """Returns the first arguments of `docker run` for a temporary container that runs as the owner of the data, without
    capabilities."""
    owner = "%d:%d" % image.owner
    arguments = ["docker", "run", "--rm", "--name", name, "--network", network, "--user", owner]
    return [*arguments, "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]


def _list_options(
    cluster: str, image: Image, memory_bytes: int, limits: Mapping[str, Any]
) -> List[str]:
    options = [
        "--name",
        container_name(cluster),
        # PostgreSQL sees the clients' own addresses, which pg_hba.conf lists, and no proxy is in between.
        "--network",
        "host",
        "--user",
        "%d:%d" % image.owner,
        # Not the image's entrypoint: it runs initdb in an empty directory, e.g. if the volume is not mounted, and chowns
        # data of an image with another libc, which hides that indexes are in another order.
        "--entrypoint",
        "postgres",
        # Fast shutdown.
        "--stop-signal",
        "SIGINT",
        "--stop-timeout",
        str(STOP_SECONDS),
        # Process 1 inherits orphans, e.g. of `docker exec` or an archive_command. The postmaster as process 1 would treat
        # one that fails as a crashed backend and restart the database.
        "--init",
        # Overrides the image's health check: nothing reads it, and it leaves orphans.
        "--no-healthcheck",
        # Docker is the only supervisor; systemd does not restart the server as well.
        "--restart",
        "unless-stopped",
        "--shm-size",
        str(choose_shm_bytes(memory_bytes)),
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        # Rotated: json-file has no limit by default, and the log would fill the disk.
        "--log-driver",
        "json-file",
        "--log-opt",
        "max-size=10m",
        "--log-opt",
        "max-file=5",
        # Unlike --volume, --mount fails if the source is missing, e.g. because the volume is not mounted.
        "--mount",
        "type=bind,source=%s,target=%s" % (DATA, CONTAINER_DATA),
        "--mount",
        "type=bind,source=%s,target=%s,readonly" % (ETC, CONTAINER_ETC),
        # In every cluster, so that backups can begin without a restart.
        "--mount",
        "type=bind,source=%s,target=%s,readonly" % (TOOLS, TOOLS),
        "--mount",
        "type=bind,source=%s,target=%s" % (SPOOL, CONTAINER_SPOOL),
    ]
    for volume in image.volumes:
        # Otherwise each volume of the image would become an anonymous one, left over whenever the container is recreated.
        options += ["--mount", "type=tmpfs,destination=%s,tmpfs-size=%d" % (volume, MIB)]
    options += ["--env", "PGDATA=" + CONTAINER_DATA]
    if limits.get("oom_score_adj", True):
        # The OOM killer prefers a backend to the postmaster (PostgreSQL manual, 18.4.4).
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
    """Returns the size of /dev/shm, which parallel queries use: the largest power of two up to half of the RAM, at least
    256 MiB. Docker's default of 64 MiB is too small for them.

    It is a limit, not a reservation. It is rounded, so that a kernel update that reports a few pages less does not
    recreate the container.
    """
    size = 256 * MIB
    while size * 2 <= memory_bytes // 2:
        size *= 2
    return size


def is_current(found: Dict[str, Any], arguments: List[str]) -> bool:
    """Whether these arguments would create the same container as `found`, which is Docker's description of one."""
    labels = found["Config"].get("Labels") or {}
    wanted = "%s=%s" % (LABEL_OPTIONS, labels.get(LABEL_OPTIONS))
    return wanted in arguments


def read_image_label(found: Dict[str, Any]) -> "Image | None":
    """Returns the image from a container's label; None for a container without one, which the action has not created."""
    label = (found["Config"].get("Labels") or {}).get(LABEL_IMAGE)
    return None if label is None else Image(**json.loads(label))
