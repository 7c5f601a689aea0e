"""Docker: questions through the API's socket, which costs a tenth of a client program; work through the client."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import quote

from .command import Problem, run
from .registry import list_headers

SOCKET = "/var/run/docker.sock"
# A look at a node must not hang on a registry.
REGISTRY_SECONDS = 10
# Read back as far as this for the last lines that say something.
LOG_LINES = 5000
REFUSAL = re.compile(r"FATAL:.*the database system is (starting up|not yet accepting connections|not accepting connections)")
# Between two signs of life of a pull.
PULL_SECONDS = 600


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
        status, body = _request(
            "GET", "/distribution/%s/json" % reference, REGISTRY_SECONDS, headers=list_headers(reference)
        )
    except Problem:
        return None
    return None if status != 200 else json.loads(body)["Descriptor"]["digest"]


def pull_image(reference: str) -> Optional[str]:
    """Pulls an image; gives what went wrong, None for nothing (Docker Engine API, `POST /images/create`)."""
    name, at, tag = reference.partition("@")
    if not at:
        name, tag = split_tag(reference)
    path = "/images/create?fromImage=%s&tag=%s" % (quote(name, safe=""), quote(tag, safe=""))
    status, body = _request("POST", path, PULL_SECONDS, headers=list_headers(reference))
    text = body.decode("utf-8", "replace")
    if status != 200:
        return read_message(text) or "Docker answers %d" % status
    # The answer begins before the pull has ended: an error comes as the last of its lines.
    errors = [line for line in text.splitlines() if '"error"' in line]
    return read_message(errors[-1]) if errors else None


def split_tag(reference: str) -> Tuple[str, str]:
    """(`host:5000/name`, tag); without one it is `latest`, as an empty one would pull them all."""
    head, slash, last = reference.rpartition("/")
    name, _, tag = last.partition(":")
    return head + slash + name, tag or "latest"


def read_message(text: str) -> str:
    """The message in an answer of Docker's that tells of an error."""
    try:
        answer = json.loads(text)
        return str(answer.get("error") or answer["message"])
    except (ValueError, KeyError, AttributeError):
        return text.strip()[-1000:]


def stop_container(name: str, seconds: int) -> None:
    """Stops a container without starting a client program first, which counts while nobody can write. Docker
    kills it after `seconds`. Returns when it has ended."""
    status, body = _request("POST", "/containers/%s/stop?t=%d" % (name, seconds), seconds + 60)
    # 304: it had ended already.
    if status not in (204, 304):
        raise Problem("Docker answers %d to stopping %s" % (status, name), body.decode("utf-8", "replace"))


def _request(
    method: str, path: str, timeout: float, document: bytes = b"", headers: Optional[Mapping[str, str]] = None
) -> Tuple[int, bytes]:
    """HTTP/1.0, so that the answer comes in one piece and ends with the connection."""
    length = str(len(document))
    fields = {"Host": "docker", "Content-Type": "application/json", "Content-Length": length, **(headers or {})}
    lines = ["%s %s HTTP/1.0" % (method, path), *("%s: %s" % field for field in fields.items())]
    head = "\r\n".join(lines) + "\r\n\r\n"
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(SOCKET)
            connection.sendall(head.encode("ascii") + document)
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


def set_aside(name: str, aside: str) -> None:
    """Gives a container that stands still another name, under which nothing starts it again."""
    remove_container(aside)
    # First the name: under its own it must never lack what has Docker start it again.
    _change(name, "rename?name=" + aside)
    _change(aside, "update", {"RestartPolicy": {"Name": "no"}})


def bring_back(aside: str, name: str) -> None:
    """Undoes set_aside(): has the container be what it was, in the place of the one that has its name now."""
    remove_container(name)
    _change(aside, "update", {"RestartPolicy": {"Name": "unless-stopped"}})
    _change(aside, "rename?name=" + name)


def _change(name: str, what: str, document: Optional[Dict[str, Any]] = None) -> None:
    body = b"" if document is None else json.dumps(document).encode("ascii")
    status, answer = _request("POST", "/containers/%s/%s" % (name, what), 60, body)
    if status not in (200, 204):
        raise Problem("Docker answers %d to `%s` of %s" % (status, what, name), answer.decode("utf-8", "replace"))


def read_log(name: str, lines: int = 20, since: Optional[str] = None) -> str:
    """The last lines a container wrote since `since`, or since it last started; empty where there is no container.

    Without those that a server which is starting writes about each client that it turns away: one comes every second
    from whoever waits for it, and the reason stands before them.
    """
    found = inspect_container(name)
    if found is None:
        return ""
    lines_since = _read_lines(name, "--since", since or found["State"]["StartedAt"])
    # Docker before 25 notes the start after the process has begun (containerStart in daemon/start.go). All that one
    # wrote that ended at once may be older.
    return "\n".join((lines_since or _read_lines(name))[-lines:])


def _read_lines(name: str, *options: str) -> List[str]:
    result = run(["docker", "logs", "--tail", str(LOG_LINES), *options, name], check=False, timeout=30)
    return drop_refusals((result.stdout + result.stderr).strip().splitlines())


def drop_refusals(lines: List[str]) -> List[str]:
    """The lines of a server's log but for those about clients that came too early (canAcceptConnections in
    postmaster.c), each with the detail that follows it."""
    kept: List[str] = []
    refused = False
    for line in lines:
        refused = REFUSAL.search(line) is not None or (refused and "DETAIL:" in line)
        if not refused:
            kept.append(line)
    return kept
