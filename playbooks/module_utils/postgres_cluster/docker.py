"""Docker: queries over the API's socket, ten times faster than a client program; most changes through the client."""

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
# An observation must not hang because a registry does.
REGISTRY_SECONDS = 10
# How many lines are searched for the last relevant ones.
LOG_LINES = 5000
REFUSAL = re.compile(r"FATAL:.*the database system is (starting up|not yet accepting connections|not accepting connections)")
# The limit for the login before a pull. The credential helper itself gives up after three attempts.
LOGIN_SECONDS = 120
# The longest time without progress of a pull.
PULL_SECONDS = 600


def is_installed() -> bool:
    """Whether Docker is installed, running or not."""
    return shutil.which("docker") is not None and shutil.which("dockerd") is not None


def is_starting_at_boot() -> bool:
    """Whether systemd starts Docker at boot, according to the links that `systemctl enable` creates."""
    return os.path.lexists("/etc/systemd/system/multi-user.target.wants/docker.service")


def read_version() -> Optional[str]:
    """Returns the version of the running daemon, or None if it does not answer."""
    try:
        answer = ask("/version")
    except Problem:
        return None
    return None if answer is None else answer["Version"]


def inspect_container(name: str) -> Optional[Dict[str, Any]]:
    """Returns Docker's description of a container, or None if it does not exist."""
    return ask("/containers/%s/json" % name)


def inspect_image(reference: str) -> Optional[Dict[str, Any]]:
    """Returns Docker's description of an image, or None if it is not on this node."""
    return ask("/images/%s/json" % reference)


def ask(path: str) -> Optional[Dict[str, Any]]:
    """Sends a GET to the Docker Engine API. Returns None if the object does not exist."""
    status, body = _request("GET", path, 60)
    if status == 404:
        return None
    if status != 200:
        raise Problem("Docker answers %d to %s" % (status, path), body.decode("utf-8", "replace"))
    return json.loads(body)


def resolve_digest(reference: str) -> Optional[str]:
    """Returns the registry's digest (`sha256:…`) for a reference without pulling it; None if the registry does not answer,
    e.g. because it requires a login (Docker Engine API, `GET /distribution/{name}/json`)."""
    try:
        headers = list_headers(reference, REGISTRY_SECONDS)
        status, body = _request("GET", "/distribution/%s/json" % reference, REGISTRY_SECONDS, headers=headers)
    except Problem:
        return None
    return None if status != 200 else json.loads(body)["Descriptor"]["digest"]


def pull_image(reference: str) -> Optional[str]:
    """Pulls an image; returns what went wrong, None for nothing (Docker Engine API, `POST /images/create`). Raises
    NoLogin if the node's instance profile provides no login."""
    name, at, tag = reference.partition("@")
    if not at:
        name, tag = split_tag(reference)
    path = "/images/create?fromImage=%s&tag=%s" % (quote(name, safe=""), quote(tag, safe=""))
    status, body = _request("POST", path, PULL_SECONDS, headers=list_headers(reference, LOGIN_SECONDS))
    text = body.decode("utf-8", "replace")
    if status != 200:
        return read_message(text) or "Docker answers %d" % status
    # The status is sent before the pull ends: a later error is the last line of the body.
    errors = [line for line in text.splitlines() if '"error"' in line]
    return read_message(errors[-1]) if errors else None


def split_tag(reference: str) -> Tuple[str, str]:
    """Returns (`host:5000/name`, tag). The default is `latest`, because an empty tag would pull all of them."""
    head, slash, last = reference.rpartition("/")
    name, _, tag = last.partition(":")
    return head + slash + name, tag or "latest"


def read_message(text: str) -> str:
    """Returns the message of an error response."""
    try:
        answer = json.loads(text)
        return str(answer.get("error") or answer["message"])
    except (ValueError, KeyError, AttributeError):
        return text.strip()[-1000:]


def stop_container(name: str, seconds: int) -> None:
    """Stops a container and returns once it has ended. Docker kills it after `seconds`. Uses the API, because starting a
    client program would prolong a switchover's pause in writes."""
    status, body = _request("POST", "/containers/%s/stop?t=%d" % (name, seconds), seconds + 60)
    # 304: already stopped.
    if status not in (204, 304):
        raise Problem("Docker answers %d to stopping %s" % (status, name), body.decode("utf-8", "replace"))


def _request(
    method: str, path: str, timeout: float, document: bytes = b"", headers: Optional[Mapping[str, str]] = None
) -> Tuple[int, bytes]:
    """Sends an HTTP/1.0 request, so that the response is not chunked and ends with the connection."""
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
    """Kills and removes a container and its anonymous volumes. Returns whether it existed."""
    if inspect_container(name) is None:
        return False
    run(["docker", "rm", "--force", "--volumes", name], timeout=120)
    return True


def set_aside(name: str, aside: str) -> None:
    """Renames a stopped container to `aside` and disables its restart policy."""
    remove_container(aside)
    # Renamed first: under its own name it must always have its restart policy.
    _change(name, "rename?name=" + aside)
    _change(aside, "update", {"RestartPolicy": {"Name": "no"}})


def bring_back(aside: str, name: str) -> None:
    """Undoes set_aside(): replaces the container that has the name now."""
    remove_container(name)
    _change(aside, "update", {"RestartPolicy": {"Name": "unless-stopped"}})
    _change(aside, "rename?name=" + name)


def _change(name: str, what: str, document: Optional[Dict[str, Any]] = None) -> None:
    body = b"" if document is None else json.dumps(document).encode("ascii")
    status, answer = _request("POST", "/containers/%s/%s" % (name, what), 60, body)
    if status not in (200, 204):
        raise Problem("Docker answers %d to `%s` of %s" % (status, what, name), answer.decode("utf-8", "replace"))


def read_log(name: str, lines: int = 20, since: Optional[str] = None) -> str:
    """Returns the last log lines of a container since `since`, or since its last start; empty if it does not exist.

    Leaves out refused clients of a starting server: waiting for the server adds one every second, and the relevant lines
    come before them.
    """
    found = inspect_container(name)
    if found is None:
        return ""
    lines_since = _read_lines(name, "--since", since or found["State"]["StartedAt"])
    # Docker before 25 records the start after the process has begun (containerStart in daemon/start.go). If the process
    # ended at once, all its output may be older than the recorded start.
    return "\n".join((lines_since or _read_lines(name))[-lines:])


def _read_lines(name: str, *options: str) -> List[str]:
    result = run(["docker", "logs", "--tail", str(LOG_LINES), *options, name], check=False, timeout=30)
    return drop_refusals((result.stdout + result.stderr).strip().splitlines())


def drop_refusals(lines: List[str]) -> List[str]:
    """Returns the lines without those about clients that a starting server refused (canAcceptConnections in postmaster.c)
    and the DETAIL lines that follow them."""
    kept: List[str] = []
    refused = False
    for line in lines:
        refused = REFUSAL.search(line) is not None or (refused and "DETAIL:" in line)
        if not refused:
            kept.append(line)
    return kept
