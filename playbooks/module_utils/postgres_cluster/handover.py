"""How the old primary tells the new one where its changes end, while nobody can write.

Between the nodes only PostgreSQL's port is open, and once the old primary has ended it is free: there its node
says what its control file holds. The new primary's node first holds a connection from a port that both know
before, which shows that it is ready and ends when the server stops serving; then it asks until it is told.
"""

from __future__ import annotations

import json
import re
import socket
import time
from typing import Any, Callable, Dict, Optional

from .server import PORT, STARTUP, is_accepting

READY_SECONDS = 20.0
# From the server's end on. The new primary asks every few milliseconds.
ASK_SECONDS = 6.0
# A server may have much to write before it ends; one that still serves after this was not stopped at all.
HOLD_SECONDS = 30.0
END_SECONDS = 330.0

TAKEN = b"\n"
MESSAGE_BYTES = 4096


def choose_port() -> int:
    """A free port, to ask from."""
    with socket.socket() as candidate:
        candidate.bind(("0.0.0.0", 0))
        port: int = candidate.getsockname()[1]
        return port


def wait_for_asker(address: str, port: int, seconds: float = READY_SECONDS) -> bool:
    """Whether the new primary's node connects from that port, which says that it is ready."""
    wanted = encode_address(address, port)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with open("/proc/net/tcp", encoding="ascii") as connections:
            if has_connection(connections.read(), wanted):
                return True
        time.sleep(0.01)
    return False


def encode_address(address: str, port: int) -> str:
    """`10.42.0.12`, 5432 → `0C002A0A:1538`, as in /proc/net/tcp (proc(5)) of a little-endian machine."""
    return "%s:%04X" % (socket.inet_aton(address)[::-1].hex().upper(), port)


def has_connection(table: str, remote: str) -> bool:
    """Whether the text of /proc/net/tcp has an established connection from `remote` to PostgreSQL's port."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[2] == remote and fields[1].endswith(":%04X" % PORT) and fields[3] == "01":
            return True
    return False


def tell(address: str, message: Dict[str, Any], seconds: float = ASK_SECONDS) -> bool:
    """Says `message` to the new primary's node and to nobody else; gives whether it was taken."""
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
                if peer == address and _give(connection, line):
                    return True
    return False


def _bind(listener: socket.socket) -> bool:
    try:
        listener.bind(("0.0.0.0", PORT))
    except OSError:
        return False
    return True


def _give(connection: socket.socket, line: bytes) -> bool:
    connection.settimeout(2)
    asked = b""
    try:
        while asked != STARTUP:
            part = connection.recv(len(STARTUP) - len(asked))
            asked += part
            # From that node the replica's own receiver connects as well: it asks for TLS, says no more until it has
            # an answer, and whoever waited for the rest of it would keep the new primary's question waiting.
            if not part or not STARTUP.startswith(asked):
                return False
        connection.sendall(line)
        return connection.recv(1) == TAKEN
    except OSError:
        return False


def hold(address: str, port: int) -> bool:
    """Shows the old primary's node from that port that this one is ready, until its server stops serving.

    Gives whether it could: a connection that was open before, as the one changes come through, says nothing about
    a new one. Without it the old primary does not stop.
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
                # PostgreSQL waits for us to speak first.
                connection.recv(1)
            except OSError:
                pass
            return True
    return False


def ask(address: str, nonce: str, is_streaming: Callable[[], bool]) -> Optional[Dict[str, Any]]:
    """What the old primary's node says once its server has ended; None when it says nothing.

    `is_streaming` says whether the old primary still sends changes: then it has not ended.
    """
    start = time.monotonic()
    next_look = end = 0.0
    while time.monotonic() < start + END_SECONDS:
        now = time.monotonic()
        if now >= next_look:
            next_look = now + 1
            if is_streaming() or end == 0.0:
                end = now + ASK_SECONDS + 2
            if now > end or (now > start + HOLD_SECONDS and is_accepting(address)):
                return None
        try:
            with socket.create_connection((address, PORT), 2) as connection:
                # A server that is stopping waits for those who connect and say nothing.
                connection.sendall(STARTUP)
                message = _read(connection)
                if message is not None and message.get("nonce") == nonce and _tells_end(message):
                    connection.sendall(TAKEN)
                    return message
        except OSError:
            pass
        time.sleep(0.005)
    return None


def _tells_end(message: Dict[str, Any]) -> bool:
    """Whether it says in PostgreSQL's words where the changes end: the other node's root is not this one's."""
    return (
        isinstance(message.get("state"), str)
        and isinstance(message.get("lsn"), str)
        and re.fullmatch("[0-9A-F]{1,8}/[0-9A-F]{1,8}", message["lsn"]) is not None
    )


def _read(connection: socket.socket) -> Optional[Dict[str, Any]]:
    data = b""
    while not data.endswith(b"\n") and len(data) < MESSAGE_BYTES:
        part = connection.recv(4096)
        if not part:
            return None
        data += part
    try:
        message = json.loads(data.decode("ascii"))
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
