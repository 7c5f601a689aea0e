"""What a rehearsal must find again in its restore: the value of the latest proof, and the names of all roles and databases."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List

from .psql import Session

# One statement, so one snapshot. The clock is read after the value was committed: a restore up to this moment has it. Names
# are those of the whole cluster, in any encoding, so they are read as bytes, and without a conversion that could fail.
LIST = """
SELECT json_build_object(
  'written', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'roles', (SELECT coalesce(json_agg(encode(textsend(rolname::text), 'hex')), '[]') FROM pg_roles),
  'databases', (SELECT coalesce(json_agg(encode(textsend(datname::text), 'hex')), '[]') FROM pg_database))
"""
AS_BYTES = "SET client_encoding = 'SQL_ASCII'"
AS_TEXT = "SET client_encoding = 'UTF8'"


def list_canary(session: Session) -> Dict[str, Any]:
    """Returns {"written", "roles", "databases", "names"}: Canary (src/cluster/rehearsal.ts) without its token."""
    session.execute(AS_BYTES)
    found = session.ask(LIST)
    session.execute(AS_TEXT)
    roles, databases = found["roles"], found["databases"]
    digest = digest_names(roles, databases)
    return {"written": found["written"], "roles": len(roles), "databases": len(databases), "names": digest}


def digest_names(roles: List[str], databases: List[str]) -> str:
    """Returns the SHA-256 of names in hexadecimal digits. A zero byte, which no name can hold, ends each name; two end the
    list of roles."""
    parts = [b"".join(bytes.fromhex(name) + b"\0" for name in sorted(names)) for names in (roles, databases)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
