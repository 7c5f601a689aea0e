"""Grows file systems into their devices while PostgreSQL runs. Never shrinks one."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from .command import Problem, run
from .files import read_text
from .layout import ROOT
from .packages import ensure_program
from .sizes import GIB, show_bytes
from .storage import Mount, find_mount, measure
from .volume import MOUNTS, device_number, find_device, find_mounted_device, require_mounted

# Sizes are whole GiB, so a file system that has yet to grow lacks at least one. Less than half is what it cannot use: up
# to 128 MiB each for ext4's last block group and for what precedes the root partition of Debian's machine image, and less
# than 1 MiB for xfs's last allocation group. As in src/cluster/rollout/storage-steps.ts.
TOLERANCE_BYTES = GIB // 2
NAMES = {ROOT: "data volume", "/": "root volume"}


class StillSmall(Problem):
    """The device is smaller than requested: EC2 shows the growth once it has modified the volume, within minutes. `waiting`
    says so on one line."""

    def __init__(self, message: str, waiting: str) -> None:
        super().__init__(message)
        self.waiting = waiting


def grow(node: str, cluster: str, volume_id: str, data_gib: int, root_gib: int) -> List[str]:
    """Grows the file systems of the data volume and of the root volume, whose requested sizes are given. Returns what it did.

    Raises StillSmall for a volume that is smaller than requested, after it has grown the other one; Problem if the data
    volume is not the cluster's, or if a file system does not grow.
    """
    _require_own(cluster, volume_id)
    small: List[StillSmall] = []
    done = []
    for path, gib in ((ROOT, data_gib), ("/", root_gib)):
        before = measure(path)
        if before is None:
            continue
        if before["deviceBytes"] < gib * GIB:
            identifier = volume_id if path == ROOT else _find_root_volume()
            small.append(_explain_small(node, NAMES[path], identifier, before["deviceBytes"], gib))
        # A device that is larger than requested was grown by somebody else, who may have a plan with it.
        elif before["deviceBytes"] == gib * GIB and _lacks(before):
            done.append(_grow_mounted(node, path, before))
    if small:
        raise small[0]
    return done


def _require_own(cluster: str, volume_id: str) -> None:
    """Raises Problem unless the volume of that id is the cluster's, and mounted."""
    require_mounted(cluster)
    device = find_device(volume_id)
    mounted = find_mounted_device(read_text(MOUNTS) or "")
    if device is None or device_number(device) != mounted:
        raise Problem(
            "the device at %s (%s) is not volume %s (%s), so its file system was not grown. Check which volumes are "
            "attached to this node in EC2" % (ROOT, mounted, volume_id, device or "not attached")
        )


def _lacks(sizes: Dict[str, Any]) -> bool:
    return bool(sizes["deviceBytes"] - sizes["filesystemBytes"] > TOLERANCE_BYTES)


def _explain_small(node: str, name: str, volume_id: Optional[str], found: int, gib: int) -> StillSmall:
    where = (
        "in EC2's console"
        if volume_id is None
        else "with `aws ec2 describe-volumes-modifications --volume-ids %s`" % volume_id
    )
    named = name if volume_id is None else "%s %s" % (name, volume_id)
    return StillSmall(
        "%s: its %s has %s, and %d GiB were requested. Nothing is lost, and PostgreSQL keeps running. EC2 has not finished "
        "the modification of the volume, or it failed: look at it %s, then run the job again; Terraform reads the size that "
        "the volume has and modifies it again" % (node, named, show_bytes(found), gib, where),
        "waiting until EC2 has grown the %s from %s to %d GiB" % (named, show_bytes(found), gib),
    )


def _find_root_volume() -> Optional[str]:
    """Returns the EBS id of the root volume, which is its serial number without a dash (EC2 User Guide, "Map Amazon EBS
    volumes to NVMe device names"); None on an instance without NVMe."""
    mount = find_mount("/")
    serial = None if mount is None else read_text(mount.disk + "/device/serial")
    found = None if serial is None else re.fullmatch(r"vol-?([0-9a-f]{8,17})", serial.strip())
    return None if found is None else "vol-" + found.group(1)


def _grow_mounted(node: str, path: str, before: Dict[str, Any]) -> str:
    mount = find_mount(path)
    if mount is None:
        raise Problem("%s: nothing is mounted at %s any more" % (node, path))
    try:
        if mount.partition is not None:
            grow_partition(mount)
        grow_filesystem(mount, path)
    except Problem as problem:
        raise Problem(
            "%s: the file system at %s (%s on %s) stays at %s of %s: %s. Nothing is lost, and PostgreSQL keeps running. "
            "Fix the cause, then run this again"
            % (
                node,
                path,
                mount.filesystem,
                mount.device,
                show_bytes(before["filesystemBytes"]),
                show_bytes(before["deviceBytes"]),
                problem.message,
            ),
            problem.log,
        )
    after = measure(path)
    if after is None or _lacks(after):
        raise Problem(
            "%s: the file system at %s has %s after it was grown, and its device (%s) has %s. Nothing is lost, and "
            "PostgreSQL keeps running. Look at `lsblk %s` there for what occupies the rest of the device"
            % (
                node,
                path,
                show_bytes((after or before)["filesystemBytes"]),
                mount.disk_device,
                show_bytes(before["deviceBytes"]),
                mount.disk_device,
            )
        )
    return "%s %s → %s" % (NAMES[path], show_bytes(before["filesystemBytes"]), show_bytes(after["filesystemBytes"]))


def grow_partition(mount: Mount) -> None:
    """Grows a partition to the end of its disk, also while its file system is mounted."""
    ensure_program("growpart", "cloud-guest-utils")
    arguments = ["growpart", mount.disk_device, str(mount.partition)]
    result = run(arguments, timeout=120, check=False)
    # 1: it already extends to the end (growpart(1)).
    if result.returncode != 0 and not (result.returncode == 1 and "NOCHANGE" in result.stdout):
        raise Problem(
            "`%s` failed with exit code %d" % (" ".join(arguments), result.returncode),
            (result.stderr or result.stdout)[-4000:],
        )


def grow_filesystem(mount: Mount, path: str) -> None:
    """Grows the file system at `path` to the size of its device."""
    if mount.filesystem == "xfs":
        ensure_program("xfs_growfs", "xfsprogs")
        # -d: its data section, to the largest size possible.
        run(["xfs_growfs", "-d", path], timeout=600)
    elif mount.filesystem == "ext4":
        ensure_program("resize2fs", "e2fsprogs")
        run(["resize2fs", mount.device], timeout=600)
    else:
        raise Problem("it is neither ext4 nor xfs, so this action does not grow it")
