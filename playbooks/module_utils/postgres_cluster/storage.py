"""Devices and file systems as this node sees them, in the shape of StorageObservation (src/cluster/observation.ts)."""

from __future__ import annotations

import fcntl
import os
import re
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .files import read_text
from .layout import OLD, ROOT
from .record import list_old_data
from .signals import is_marked
from .sizes import measure_directory, measure_space
from .volume import MOUNTS

# xfs_fs.h: _IOR('X', 100, struct xfs_fsop_geom_v1), the geometry of a mounted XFS.
XFS_IOC_FSGEOMETRY_V1 = 0x80705864
XFS_GEOMETRY_BYTES = 112
# ext4: the superblock begins after 1,024 bytes (kernel documentation, "ext4 Data Structures and Algorithms").
EXT4_SUPERBLOCK = 1024
EXT4_MAGIC = 0xEF53
BLOCK_DEVICES = "/sys/dev/block"
# keptDirectory in src/ansible/reported-values.ts, and its limit in report-schema.ts.
KEPT_NAME = re.compile(r"data\.old-[A-Za-z0-9._-]{1,100}")
MAX_KEPT = 100


def observe_storage() -> Dict[str, Any]:
    """Observes the data volume, the root file system and the directories that were set aside; changes nothing."""
    return {"data": measure(ROOT), "root": measure("/"), "kept": [_describe_kept(path) for path in _list_kept()]}


class Mount(NamedTuple):
    """A file system on a block device. `folder`: of its device or partition in sysfs; `disk`: of the whole device."""

    filesystem: str
    folder: str
    disk: str

    @property
    def device(self) -> str:
        """The device node, by the name that the kernel gives it."""
        return _find_node(self.folder)

    @property
    def disk_device(self) -> str:
        """The device node of the whole disk."""
        return _find_node(self.disk)

    @property
    def partition(self) -> Optional[int]:
        """The number of the partition; None for a file system that has the whole device."""
        number = read_text(self.folder + "/partition")
        return None if number is None else int(number)


def find_mount(path: str) -> Optional[Mount]:
    """Returns the file system that is mounted at `path`; None if none is, or none on a block device."""
    fields = _find_fields(read_text(MOUNTS) or "", path)
    folder = None if fields is None else os.path.realpath("%s/%s" % (BLOCK_DEVICES, fields[0]))
    if fields is None or folder is None or read_text(folder + "/size") is None:
        return None
    # A partition's folder is in that of its disk (kernel documentation, "sysfs-block").
    disk = os.path.dirname(folder) if os.path.exists(folder + "/partition") else folder
    return Mount(fields[1], folder, disk)


def measure(path: str) -> Optional[Dict[str, int]]:
    """Returns the sizes of the file system that is mounted at `path`, in bytes; None if none is mounted there, or none on a
    block device. The device is the whole disk, also where the file system has a partition of it."""
    mount = find_mount(path)
    if mount is None:
        return None
    # In units of 512 bytes, whatever the sector size of the device (kernel documentation, "sysfs-block").
    device = int(read_text(mount.disk + "/size") or 0) * 512
    space = measure_space(path)
    return {
        "deviceBytes": device,
        # Of a file system that no step grows, the size does not matter.
        "filesystemBytes": _read_filesystem_bytes(mount, path) or device,
        "capacityBytes": space.capacity,
        "usedBytes": space.used,
        "freeBytes": space.free,
    }


def _find_node(folder: str) -> str:
    """Returns the device node that belongs to a folder of sysfs."""
    pairs = (line.split("=", 1) for line in (read_text(folder + "/uevent") or "").splitlines() if "=" in line)
    return "/dev/" + dict(pairs).get("DEVNAME", os.path.basename(folder))


def _find_fields(mountinfo: str, path: str) -> Optional[Tuple[str, str]]:
    """Returns `major:minor` and type of the visible file system at `path` (proc(5), /proc/pid/mountinfo)."""
    found = None
    for line in mountinfo.splitlines():
        fields = line.split()
        if len(fields) > 8 and fields[4] == path and "-" in fields[6:-1]:
            # The number of fields before the dash varies.
            found = (fields[2], fields[fields.index("-", 6) + 1])
    return found


def _read_filesystem_bytes(mount: Mount, path: str) -> Optional[int]:
    if mount.filesystem == "xfs":
        return _read_xfs_bytes(path)
    if mount.filesystem == "ext4":
        try:
            # Through the page cache, which the mounted file system changes as well.
            with open(mount.device, "rb", buffering=0) as file:
                file.seek(EXT4_SUPERBLOCK)
                return parse_ext4_bytes(file.read(1024))
        except OSError:
            return None
    return None


def _read_xfs_bytes(path: str) -> int:
    buffer = bytearray(XFS_GEOMETRY_BYTES)
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, XFS_IOC_FSGEOMETRY_V1, buffer)
    finally:
        os.close(handle)
    # blocksize is the first of eight __u32; they precede datablocks, a __u64.
    return int(struct.unpack_from("=I", buffer, 0)[0] * struct.unpack_from("=Q", buffer, 32)[0])


def parse_ext4_bytes(block: bytes) -> Optional[int]:
    """Returns the size of a file system from its superblock: s_blocks_count and s_log_block_size; None if it is none."""
    if len(block) < 1024 or struct.unpack_from("<H", block, 0x38)[0] != EXT4_MAGIC:
        return None
    low, high = struct.unpack_from("<I", block, 4)[0], struct.unpack_from("<I", block, 0x150)[0]
    # The upper half counts only with the feature 64bit (INCOMPAT_64BIT in s_feature_incompat).
    if not struct.unpack_from("<I", block, 0x60)[0] & 0x80:
        high = 0
    return int(((high << 32) + low) * (1024 << struct.unpack_from("<I", block, 0x18)[0]))


def _list_kept() -> List[str]:
    # A person may have given a directory any name. One that the action could not name safely is not its business.
    return [
        path
        for path in list_old_data()
        if KEPT_NAME.fullmatch(os.path.basename(path)) and os.path.isdir(path) and not os.path.islink(path)
    ][:MAX_KEPT]


def _describe_kept(path: str) -> Dict[str, Any]:
    return {"name": "data.old-" + path[len(OLD) :], "bytes": measure_directory(path), "formerPrimary": is_marked(path)}
