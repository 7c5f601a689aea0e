"""SCRAM-SHA-256 verifiers as PostgreSQL stores them in pg_authid (RFC 5802 §3, RFC 7677, RFC 4013).

A password is checked and set through its verifier, so that the clear text never appears in SQL, nor in logs and
pg_stat_statements.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import stringprep
import unicodedata
from typing import Optional

# RFC 7677 §4 requires at least 4096, and PostgreSQL uses 4096 (SCRAM_SHA_256_DEFAULT_ITERATIONS in scram-common.h).
ITERATIONS = 4096
VERIFIER = re.compile(r"^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)$")


def make_verifier(password: str, salt: Optional[bytes] = None, iterations: int = ITERATIONS) -> str:
    """Returns the verifier of a password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

    Without `salt`, uses a new random one.
    """
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password), salt, iterations)
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server_key = _hmac(salted, b"Server Key")
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (
        iterations,
        _encode(salt),
        _encode(stored_key),
        _encode(server_key),
    )


def matches(password: str, verifier: Optional[str]) -> bool:
    """Whether a verifier is this password's. False for None and for MD5 hashes."""
    match = VERIFIER.match(verifier or "")
    if not match or verifier is None:
        return False
    again = make_verifier(password, base64.b64decode(match.group(2)), int(match.group(1)))
    return hmac.compare_digest(again, verifier)


def prepare(password: str) -> bytes:
    """Returns the password's bytes as PostgreSQL hashes them: after SASLprep, or unchanged if SASLprep prohibits them."""
    try:
        return _saslprep(password).encode("utf-8")
    except ValueError:
        return password.encode("utf-8")


def _saslprep(text: str) -> str:
    if all(ord(character) < 128 for character in text):
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    if not normal or any(_is_prohibited(character) for character in normal):
        raise ValueError("prohibited by RFC 4013 §2.3")
    right_to_left = [stringprep.in_table_d1(character) for character in normal]
    if any(right_to_left):
        # RFC 3454 §6: no left-to-right letters among them, and a right-to-left letter at both ends.
        mixed = any(stringprep.in_table_d2(character) for character in normal)
        if mixed or not (right_to_left[0] and right_to_left[-1]):
            raise ValueError("prohibited by RFC 3454 §6")
    return normal


def _is_prohibited(character: str) -> bool:
    return any(
        table(character)
        for table in (
            stringprep.in_table_a1,
            stringprep.in_table_c12,
            stringprep.in_table_c21_c22,
            stringprep.in_table_c3,
            stringprep.in_table_c4,
            stringprep.in_table_c5,
            stringprep.in_table_c6,
            stringprep.in_table_c7,
            stringprep.in_table_c8,
            stringprep.in_table_c9,
        )
    )


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
