"""The line of /etc/fstab that mounts the data volume."""

from __future__ import annotations

from typing import List, Optional

from .layout import ROOT

FSTAB = "/etc/fstab"


def has_fstab_entry(fstab: str, uuid: str, filesystem: Optional[str]) -> bool:
    """Whether an /etc/fstab mounts this file system at ROOT with a choice of error behaviour."""
    return any(_is_entry(line.split(), uuid) and _has_errors_option(line.split(), filesystem) for line in fstab.splitlines())


def edit_fstab(fstab: str, uuid: str, filesystem: str) -> str:
    """Returns the text of an /etc/fstab with one line for ROOT. Keeps other lines, and the options of an existing line."""
    # nofail: a node boots without its volume, so that you can log in. Docker requires this mount, so it stays down, and
    # PostgreSQL with it.
    entry = ["UUID=" + uuid, ROOT, filesystem, "defaults,noatime,nofail,x-systemd.device-timeout=30s", "0", "2"]
    kept = []
    for line in fstab.splitlines():
        fields = line.split()
        if _is_entry(fields, uuid) and len(fields) > 3:
            entry = fields
        elif line.startswith("#") or fields[1:2] != [ROOT]:
            kept.append(line)
    if not _has_errors_option(entry, filesystem):
        # As on Debian's root file system. By default ext4 keeps writing to a file system that it knows to be damaged.
        entry[3] += ",errors=remount-ro"
    return "\n".join(kept + [" ".join(entry), ""])


def _is_entry(fields: List[str], uuid: str) -> bool:
    return fields[:2] == ["UUID=" + uuid, ROOT]


def _has_errors_option(fields: List[str], filesystem: Optional[str]) -> bool:
    """Whether the line has an `errors=` option, with any value. xfs needs none: it shuts itself down after an error."""
    return filesystem != "ext4" or any(option.startswith("errors=") for option in ",".join(fields[3:4]).split(","))


def find_errors_option(fstab: str, uuid: str) -> str:
    """Returns the `errors=` option of this file system's line, e.g. `errors=remount-ro`. The line must have one."""
    fields = next(line.split() for line in fstab.splitlines() if _is_entry(line.split(), uuid))
    return next(option for option in fields[3].split(",") if option.startswith("errors="))
