"""Measures file systems and directories, and shows sizes. Needs no other module: the program of a copy's unit has a copy."""

from __future__ import annotations

import os
from typing import NamedTuple

MIB = 1024**2
GIB = 1024**3


class Space(NamedTuple):
    """The space of a file system in bytes. `free`: what programs without privileges may use."""

    capacity: int
    used: int
    free: int


def measure_space(path: str) -> Space:
    """Returns the space of the file system that `path` is on."""
    found = os.statvfs(path)
    blocks = (found.f_blocks, found.f_blocks - found.f_bfree, found.f_bavail)
    return Space(*(number * found.f_frsize for number in blocks))


def measure_directory(path: str) -> int:
    """Returns how many bytes a directory and everything in it take; 0 if there is none."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def show_bytes(number: int) -> str:
    """Returns a size for a message, e.g. `20 GiB`, `1.5 GiB` or `300 MiB`."""
    if number < GIB:
        return "%.0f MiB" % (number / MIB)
    return ("%.1f" % (number / GIB)).rstrip("0").rstrip(".") + " GiB"
