"""Positions in the WAL. Imports nothing: the backup program on the node uses it as well."""

from __future__ import annotations


def parse_lsn(lsn: str) -> int:
    """`1/A0` → 4294967456 (PostgreSQL manual, 8.20 "pg_lsn Type")."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def format_lsn(position: int) -> str:
    """4294967456 → `1/A0`."""
    return "%X/%X" % (position >> 32, position & 0xFFFFFFFF)
