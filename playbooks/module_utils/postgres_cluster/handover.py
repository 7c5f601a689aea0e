"""The old primary's node sends the new one the end of its WAL, during the write pause of a switchover.

Only PostgreSQL's port is open between the nodes, and it is free once the old primary has exited: its node listens
there and sends what its control file holds. The new primary's node first holds a connection from a port that both
agreed on: it signals readiness and closes when the server stops. Then that node connects until it has the message.
"""

from __future__ import annotations

import json
import re
import socket
import time
from typing import Any, Callable, Dict, Optional

from .archive_status import SEGMENT
from .server import PORT, STARTUP, is_accepting

READY_SECONDS = 20.0
# Counted from the server's exit. The new primary's node connects every few milliseconds.
EXCHANGE_SECONDS = 6.0
# A server may write for long before it exits; one that still accepts connections after this was never stopped.
HOLD_SECONDS = 30.0
END_SECONDS = 330.0

ACKNOWLEDGEMENT = b"\n"
MAX_MESSAGE_BYTES = 4096


def choose_port() -> int:
    """Returns a free local port to connect from."""
    with socket.socket() as candidate:
        candidate.bind(("0.0.0.0", 0))
        port: int = candidate.getsockname()[1]
        return port


def wait_for_successor(address: str, port: int, seconds: float = READY_SECONDS) -> bool:
    """Waits for the new primary's node to connect from that port, its readiness signal; returns whether it did."""
    wanted = encode_address(address, port)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with open("/proc/net/tcp", encoding="ascii") as connections:
            if has_connection(connections.read(), wanted):
                return True
        time.sleep(0.01)
    return False


def encode_address(address: str, port: int) -> str:
    """`10.42.0.12`, 5432 → `0C002A0A:1538`, as in /proc/net/tcp (proc(5)) on a little-endian machine."""
    return "%s:%04X" % (socket.inet_aton(address)[::-1].hex().upper(), port)


def has_connection(table: str, remote: str) -> bool:
    """Whether the text of /proc/net/tcp lists an established connection from `remote` to PostgreSQL's port."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[2] == remote and fields[1].endswith(":%04X" % PORT) and fields[3] == "01":
            return True
    return False


def send_end(address: str, message: Dict[str, Any], seconds: float = EXCHANGE_SECONDS) -> bool:
    """Sends `message` to the new primary's node and to no other address; returns whether it was acknowledged."""
    deadline = time.monotonic() + seconds
    line = (json.dumps(message) + "\n").encode("ascii")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while not _bind(listener):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        listener.listen(16)
        while time.monotonic() < deadline:
            listener.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection, (peer, _) = listener.accept()
            except OSError:
                continue
            with connection:
                if peer == address and _answer(connection, line):
                    return True
    return False


def _bind(listener: socket.socket) -> bool:
    try:
        listener.bind(("0.0.0.0", PORT))
    except OSError:
        return False
    return True


def _answer(connection: socket.socket, line: bytes) -> bool:
    connection.settimeout(2)
    request = b""
    try:
        while request != STARTUP:
            part = connection.recv(len(STARTUP) - len(request))
            request += part
            # The replica's WAL receiver connects from that node as well. It requests TLS and sends nothing more until
            # it has an answer, so waiting for the rest would block the new primary's request.
            if not part or not STARTUP.startswith(request):
                return False
        connection.sendall(line)
        return connection.recv(1) == ACKNOWLEDGEMENT
    except OSError:
        return False


def signal_readiness(address: str, port: int) -> bool:
    """Holds a connection from `port` to the old primary until its server stops: this node is ready.

    Returns whether it could connect. A connection that is already open, as replication's is, does not prove that a
    new one can be made. The old primary is not stopped without this signal.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            connection = socket.create_connection((address, PORT), 2, ("", port))
        except OSError:
            time.sleep(0.05)
            continue
        with connection:
            connection.settimeout(HOLD_SECONDS)
            try:
                # PostgreSQL sends nothing before the client does.
                connection.recv(1)
            except OSError:
                pass
            return True
    return False


def receive_end(address: str, nonce: str, is_streaming: Callable[[], bool]) -> Optional[Dict[str, Any]]:
    """Returns the message that the old primary's node sends once its server has exited; None if it sends no message.

    `is_streaming`: whether the old primary still sends changes, so has not exited.
    """
    start = time.monotonic()
    next_check = deadline = 0.0
    while time.monotonic() < start + END_SECONDS:
        now = time.monotonic()
        if now >= next_check:
            next_check = now + 1
            if is_streaming() or deadline == 0.0:
                deadline = now + EXCHANGE_SECONDS + 2
            if now > deadline or (now > start + HOLD_SECONDS and is_accepting(address)):
                return None
        try:
            with socket.create_connection((address, PORT), 2) as connection:
                # A server that is shutting down waits for clients that connect and send nothing.
                connection.sendall(STARTUP)
                message = _read(connection)
                if message is not None and message.get("nonce") == nonce and _has_end(message):
                    connection.sendall(ACKNOWLEDGEMENT)
                    return message
        except OSError:
            pass
        time.sleep(0.005)
    return None


def _has_end(message: Dict[str, Any]) -> bool:
    """Whether the message has a state, an LSN in PostgreSQL's format, and what the archive lacks: the other node is not trusted
    with SQL or paths here."""
    return (
        isinstance(message.get("state"), str)
        and isinstance(message.get("lsn"), str)
        and re.fullmatch("[0-9A-F]{1,8}/[0-9A-F]{1,8}", message["lsn"]) is not None
        and {"unarchived", "dropped"} <= message.keys()
        and _is_segment(message["unarchived"])
        and _is_dropped(message["dropped"])
    )


def _is_segment(name: Any) -> bool:
    return name is None or (isinstance(name, str) and SEGMENT.fullmatch(name) is not None)


def _is_dropped(dropped: Any) -> bool:
    """Whether it may be an answer of read_dropped()."""
    if dropped is None:
        return True
    if not isinstance(dropped, dict) or set(dropped) != {"files", "since", "last"}:
        return False
    numbers = (dropped["files"], dropped["since"])
    return _is_segment(dropped["last"]) and all(type(value) is int and 0 <= value < 2**40 for value in numbers)


def _read(connection: socket.socket) -> Optional[Dict[str, Any]]:
    data = b""
    while not data.endswith(b"\n") and len(data) < MAX_MESSAGE_BYTES:
        part = connection.recv(4096)
        if not part:
            return None
        data += part
    try:
        message = json.loads(data.decode("ascii"))
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
