"""Reads and writes small files atomically: a crash leaves the complete old text or the complete new one."""

from __future__ import annotations

import json
import os
from typing import Any, Optional, Tuple


def read_text(path: str) -> Optional[str]:
    """Returns the text of a file, or None if it does not exist."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_json(path: str) -> Any:
    """Returns the parsed JSON of a file, or None if it does not exist or is not JSON."""
    text = read_text(path)
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def write_text(
    path: str, text: str, mode: int = 0o644, owner: Optional[Tuple[int, int]] = None
) -> bool:
    """Writes a file through a rename and flushes file and directory to disk. Returns whether anything changed.

    `owner` is (uid, gid), by default root.
    """
    uid, gid = owner or (0, 0)
    if read_text(path) == text:
        status = os.stat(path)
        if (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, uid, gid):
            return False
    temporary = path + ".new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.fchmod(descriptor, mode)
        os.fchown(descriptor, uid, gid)
        os.write(descriptor, text.encode("utf-8"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)
    sync_directory(os.path.dirname(path))
    return True


def remove_file(path: str) -> None:
    """Removes a file if it exists."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def sync_directory(path: str) -> None:
    """Makes renames in a directory survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: str, mode: int = 0o755, owner: Tuple[int, int] = (0, 0)) -> bool:
    """Creates a directory with this mode and (uid, gid), or corrects them. Returns whether anything changed."""
    made = not os.path.isdir(path)
    if made:
        os.mkdir(path, 0o700)
    status = os.stat(path)
    if not made and (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, *owner):
        return False
    os.chmod(path, mode)
    os.chown(path, *owner)
    return True
