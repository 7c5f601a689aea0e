"""Devices and file systems as this node sees them, in the shape of StorageObservation (src/cluster/observation.ts)."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Any, Dict, List, Optional

from .files import read_text
from .layout import OLD, ROOT
from .record import list_old_data
from .signals import is_marked
from .volume import MOUNTS

# xfs_fs.h: _IOR('X', 100, struct xfs_fsop_geom_v1), the geometry of a mounted XFS.
XFS_IOC_FSGEOMETRY_V1 = 0x80705864
XFS_GEOMETRY_BYTES = 112
# ext4: the superblock begins after 1,024 bytes (kernel documentation, "ext4 Data Structures and Algorithms").
EXT4_SUPERBLOCK = 1024


def observe_storage() -> Dict[str, Any]:
    """Observes the data volume, the root file system and the directories that were set aside; changes nothing."""
    return {"data": measure(ROOT), "root": measure("/"), "kept": [_describe_kept(path) for path in list_old_data()]}


def measure(path: str) -> Optional[Dict[str, int]]:
    """Returns the sizes of the file system that is mounted at `path`, in bytes; None if none is mounted there, or none on a
    block device."""
    fields = _find_mount(read_text(MOUNTS) or "", path)
    if fields is None:
        return None
    sectors = read_text("/sys/dev/block/%s/size" % fields[2])
    if sectors is None:
        return None
    found = os.statvfs(path)
    return {
        # In units of 512 bytes, whatever the sector size of the device (kernel documentation, "sysfs-block").
        "deviceBytes": int(sectors) * 512,
        "filesystemBytes": _read_filesystem_bytes(fields[-3], path, fields[-2]) or found.f_blocks * found.f_frsize,
        "capacityBytes": found.f_blocks * found.f_frsize,
        "usedBytes": (found.f_blocks - found.f_bfree) * found.f_frsize,
        "freeBytes": found.f_bavail * found.f_frsize,
    }


def _find_mount(mountinfo: str, path: str) -> Optional[List[str]]:
    """Returns the fields of the visible mount at `path` (proc(5), /proc/pid/mountinfo)."""
    found = None
    for line in mountinfo.splitlines():
        fields = line.split()
        if len(fields) > 9 and fields[4] == path:
            found = fields
    return found


def _read_filesystem_bytes(kind: str, path: str, source: str) -> Optional[int]:
    if kind == "xfs":
        buffer = bytearray(XFS_GEOMETRY_BYTES)
        handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, XFS_IOC_FSGEOMETRY_V1, buffer)
        finally:
            os.close(handle)
        # blocksize is the first of eight __u32, before datablocks, a __u64.
        return struct.unpack_from("=I", buffer, 0)[0] * struct.unpack_from("=Q", buffer, 32)[0]
    if kind == "ext4":
        try:
            with open(source, "rb", buffering=0) as file:
                file.seek(EXT4_SUPERBLOCK)
                block = file.read(1024)
        except OSError:
            return None
        low, high = struct.unpack_from("<I", block, 4)[0], struct.unpack_from("<I", block, 0x150)[0]
        return ((high << 32) + low) * (1024 << struct.unpack_from("<I", block, 0x18)[0])
    return None


def _describe_kept(path: str) -> Dict[str, Any]:
    return {"name": "data.old-" + path[len(OLD) :], "bytes": _measure_directory(path), "formerPrimary": is_marked(path)}


def _measure_directory(path: str) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
