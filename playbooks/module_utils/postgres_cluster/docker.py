"""Docker: questions through the API's socket, which costs a tenth of a client program; work through the client."""

from __future__ import annotations

import json
import os
import shutil
import socket
from typing import Any, Dict, Optional, Tuple

from .command import Problem, run

SOCKET = "/var/run/docker.sock"
# A look at a node must not hang on a registry.
REGISTRY_SECONDS = 10


def is_installed() -> bool:
    """Whether Docker is on the node, running or not."""
    return shutil.which("docker") is not None and shutil.which("dockerd") is not None


def is_starting_at_boot() -> bool:
    """Whether systemd starts Docker at boot, read from the links that `systemctl enable` makes."""
    return os.path.lexists("/etc/systemd/system/multi-user.target.wants/docker.service")


def read_version() -> Optional[str]:
    """The version of the running daemon, or None when none answers."""
    try:
        answer = ask("/version")
    except Problem:
        return None
    return None if answer is None else answer["Version"]


def inspect_container(name: str) -> Optional[Dict[str, Any]]:
    """What Docker knows of a container, or None when there is no such container."""
    return ask("/containers/%s/json" % name)


def inspect_image(reference: str) -> Optional[Dict[str, Any]]:
    """What Docker knows of an image on this node, or None when the node does not have it."""
    return ask("/images/%s/json" % reference)


def ask(path: str) -> Optional[Dict[str, Any]]:
    """One GET to the Docker Engine API; None when Docker knows of no such thing."""
    status, body = _request("GET", path, 60)
    if status == 404:
        return None
    if status != 200:
        raise Problem("Docker answers %d to %s" % (status, path), body.decode("utf-8", "replace"))
    return json.loads(body)


def resolve_digest(reference: str) -> Optional[str]:
    """The digest (`sha256:…`) that the registry has for a reference, without pulling it; None when it does not
    say, e.g. because it wants a login (Docker Engine API, `GET /distribution/{name}/json`)."""
    try:
        status, body = _request("GET", "/distribution/%s/json" % reference, REGISTRY_SECONDS)
    except Problem:
        return None
    return None if status != 200 else json.loads(body)["Descriptor"]["digest"]


def stop_container(name: str, seconds: int) -> None:
    """Stops a container without starting a client program first, which counts while nobody can write. Docker
    kills it after `seconds`. Returns when it has ended."""
    status, body = _request("POST", "/containers/%s/stop?t=%d" % (name, seconds), seconds + 60)
    # 304: it had ended already.
    if status not in (204, 304):
        raise Problem("Docker answers %d to stopping %s" % (status, name), body.decode("utf-8", "replace"))


def _request(method: str, path: str, timeout: float) -> Tuple[int, bytes]:
    """HTTP/1.0, so that the answer comes in one piece and ends with the connection."""
    head = "%s %s HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n" % (method, path)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(SOCKET)
            connection.sendall(head.encode("ascii"))
            with connection.makefile("rb") as stream:
                answer, _, body = stream.read().partition(b"\r\n\r\n")
    except OSError as error:
        raise Problem("Docker does not answer (%s): is docker.service running?" % error)
    return int(answer.split(None, 2)[1]), body


def remove_container(name: str) -> bool:
    """Kills and removes a container and its anonymous volumes; gives whether there was one."""
    if inspect_container(name) is None:
        return False
    run(["docker", "rm", "--force", "--volumes", name], timeout=120)
    return True


def read_log(name: str, lines: int = 20) -> str:
    """The last lines a container wrote since it last started."""
    found = inspect_container(name)
    since = [] if found is None else ["--since", found["State"]["StartedAt"]]
    result = run(["docker", "logs", "--tail", str(lines), *since, name], check=False, timeout=30)
    return (result.stdout + result.stderr).strip()
