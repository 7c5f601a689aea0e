"""The SSH keys that may log in to a node."""

from __future__ import annotations

import os
import pwd
from typing import List, Tuple

from .files import read_text, write_text


def edit_keys(text: str, wanted: str, retired: List[str]) -> str:
    """Returns the text of an authorized_keys file with the wanted key and without the retired ones.

    Keys are compared by type and body, regardless of options and comments.
    """
    lines = [line for line in text.splitlines() if not any(_holds(line, key) for key in retired)]
    if not any(_holds(line, wanted) for line in lines):
        lines.append(wanted.strip())
    return "".join(line + "\n" for line in lines)


def _holds(line: str, key: str) -> bool:
    kind, body = key.split()[:2]
    words = line.split()
    return not line.lstrip().startswith("#") and (kind, body) in zip(words, words[1:])


def locate_keys(user: str) -> Tuple[str, Tuple[int, int]]:
    """Returns the path of a user's authorized_keys and its owner's (uid, gid)."""
    entry = pwd.getpwnam(user)
    return os.path.join(entry.pw_dir, ".ssh", "authorized_keys"), (entry.pw_uid, entry.pw_gid)


def are_keys_current(user: str, wanted: str, retired: List[str]) -> bool:
    """Whether the wanted key may log in as `user` and the retired ones may not."""
    text = read_text(locate_keys(user)[0]) or ""
    return edit_keys(text, wanted, retired) == text


def ensure_keys(user: str, wanted: str, retired: List[str]) -> bool:
    """Adds the wanted key and removes the retired ones; returns whether anything changed."""
    path, owner = locate_keys(user)
    text = read_text(path) or ""
    edited = edit_keys(text, wanted, retired)
    return False if edited == text else write_text(path, edited, 0o600, owner)
