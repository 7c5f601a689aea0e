"""Asks another node's server whether it is the primary, with a replica's rights and in plain Python: there is no client
program before Docker runs. PostgreSQL manual, 54.2 "Message Flow", 54.3 "SASL Authentication", 54.4 "Streaming
Replication Protocol"; RFC 5802 (SCRAM)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import socket
import struct
from typing import Dict, List, NamedTuple, Optional, Tuple

from .layout import REPLICATION_USER
from .scram import prepare

PORT = 5432
TIMEOUT_SECONDS = 3
# Limits of one message, and of the hashing that the server may ask for.
MAX_MESSAGE_BYTES = 1 << 20
MAX_ITERATIONS = 1000000


class Peer(NamedTuple):
    """A server's identity and role."""

    system_identifier: str
    # On a replica, the timeline that it replays.
    timeline: int
    is_primary: bool


class Refused(Exception):
    """The server answers but rejects this node. `by_password`: the password is wrong; otherwise pg_hba.conf has no entry
    for this node."""

    def __init__(self, by_password: bool = False) -> None:
        super().__init__()
        self.by_password = by_password


def ask_peer(address: str, password: str) -> Optional[Peer]:
    """Returns what the server at an address is; None if it does not answer or is still starting. Raises Refused."""
    try:
        with socket.create_connection((address, PORT), TIMEOUT_SECONDS) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            return _ask(connection, password)
    except (OSError, ValueError, KeyError, IndexError, struct.error):
        return None


def _ask(connection: socket.socket, password: str) -> Peer:
    _send(connection, b"", struct.pack("!i", 196608) + _join("user", REPLICATION_USER, "replication", "true", ""))
    _authenticate(connection, password)
    parameters: Dict[str, str] = {}
    for kind, body in iter(lambda: _receive(connection), None):
        if kind == b"S":
            name, value = body.split(b"\0")[:2]
            parameters[name.decode()] = value.decode()
        if kind == b"Z":
            break
    _send(connection, b"Q", b"IDENTIFY_SYSTEM\0")
    row: List[bytes] = []
    for kind, body in iter(lambda: _receive(connection), None):
        if kind == b"D":
            row = _read_row(body)
        if kind == b"Z":
            break
    # Reported since PostgreSQL 14 (manual, 54.2.7).
    return Peer(row[0].decode(), int(row[1]), parameters["in_hot_standby"] == "off")


def _authenticate(connection: socket.socket, password: str) -> None:
    _, body = _receive(connection)
    if struct.unpack("!i", body[:4])[0] != 10 or b"SCRAM-SHA-256\0" not in body:
        raise ValueError("the server asks for another authentication method")
    bare = b"n=,r=" + base64.b64encode(os.urandom(18))
    first = b"n,," + bare
    _send(connection, b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
    challenge = _receive(connection)[1][4:]
    final, signature = answer_challenge(password, bare, challenge)
    _send(connection, b"p", final)
    # A server that does not know the password could be anyone's: its answer must not decide who is the primary.
    if not hmac.compare_digest(_receive(connection)[1][4:], b"v=" + signature):
        raise ValueError("the server does not know the password")
    if _receive(connection)[1][:4] != struct.pack("!i", 0):
        raise ValueError("the server rejected the login")


def answer_challenge(password: str, bare: bytes, challenge: bytes) -> Tuple[bytes, bytes]:
    """Returns the client's final message and the signature that the server must send (RFC 5802, section 3)."""
    fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
    iterations = int(fields[b"i"])
    nonce = fields[b"r"]
    if not nonce.startswith(bare.split(b"r=")[1]) or not 0 < iterations <= MAX_ITERATIONS:
        raise ValueError("the challenge does not match the client's first message")
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password), base64.b64decode(fields[b"s"]), iterations)
    key = _sign(salted, b"Client Key")
    without_proof = b"c=biws,r=" + nonce
    message = b",".join([bare, challenge, without_proof])
    mask = _sign(hashlib.sha256(key).digest(), message)
    proof = bytes(one ^ other for one, other in zip(key, mask))
    signature = _sign(_sign(salted, b"Server Key"), message)
    return without_proof + b",p=" + base64.b64encode(proof), base64.b64encode(signature)


def _sign(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _join(*words: str) -> bytes:
    return b"".join(word.encode("utf-8") + b"\0" for word in words)


def _send(connection: socket.socket, kind: bytes, body: bytes) -> None:
    connection.sendall(kind + struct.pack("!i", len(body) + 4) + body)


def _receive(connection: socket.socket) -> Tuple[bytes, bytes]:
    """Returns the next message. Raises Refused for an authorization error, ValueError for any other."""
    kind = _read(connection, 1)
    size = struct.unpack("!i", _read(connection, 4))[0] - 4
    if not 0 <= size <= MAX_MESSAGE_BYTES:
        raise ValueError("a message of %d bytes" % size)
    body = _read(connection, size)
    if kind == b"E":
        # Class 28: invalid authorization specification (PostgreSQL manual, appendix A).
        if re.search(rb"(^|\0)C28", body):
            raise Refused(by_password=re.search(rb"(^|\0)C28P01\0", body) is not None)
        raise ValueError("the server reports an error")
    return kind, body


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ValueError("the connection ended early")
        data += part
    return data


def _read_row(body: bytes) -> List[bytes]:
    count = struct.unpack("!h", body[:2])[0]
    at, row = 2, []
    for _ in range(count):
        size = struct.unpack("!i", body[at : at + 4])[0]
        at += 4
        row.append(body[at : at + max(size, 0)])
        at += max(size, 0)
    return row
