"""Files in directories of the server's user, who may put links, pipes and devices there: root follows and waits for none."""

from __future__ import annotations

import os
import stat
from typing import Optional

MAX_BYTES = 2**20
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def read_untrusted(path: str, limit: int = MAX_BYTES) -> Optional[str]:
    """Returns the beginning of a regular file, at most `limit` bytes; None if there is none. What is not UTF-8 is replaced."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(limit).decode("utf-8", "replace")


def create_untrusted(root: str, folder: str, name: str) -> None:
    """Creates an empty file for the owner of its directory, unless something of that name exists. `folder`: below `root`, which
    is no link; none of its parts may be one.

    Raises OSError if the directory is not one.
    """
    descriptor = os.open(root, FOLDER)
    try:
        for part in folder.split("/"):
            inner = os.open(part, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        try:
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=descriptor)
        except FileExistsError:
            return
        owner = os.fstat(descriptor)
        os.fchown(file, owner.st_uid, owner.st_gid)
        os.close(file)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
