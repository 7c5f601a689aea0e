"""The data volume of a node: found by its EBS id, formatted only if blank, mounted by UUID."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from typing import Any, Dict, List, NamedTuple, Optional

from .boot import UNIT_NAME, ensure_guard, is_guard_current
from .command import Problem, run
from .files import make_directory, read_json, read_text, write_text
from .fstab import FSTAB, edit_fstab, find_errors_option, has_fstab_entry
from .layout import MARKER, ROOT
from .packages import ensure_program

BY_ID = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_"
# The device name of Terraform's attachment (/dev/sdf), as a Xen kernel spells it. Xen instances (t2, m4, …) have no
# NVMe and no link by id, but the name of an attachment is stable there.
XEN_DEVICE = "/dev/xvdf"
BY_UUID = "/dev/disk/by-uuid"
MOUNTS = "/proc/self/mountinfo"
# The unit that systemd generates from ROOT's line in fstab (systemd.mount(5): the path, escaped).
UNIT = "var-lib-postgresql\\x2dcluster.mount"
DROP_IN = "/etc/systemd/system/docker.service.d/20-postgres-cluster.conf"
USABLE = ("ext4", "xfs")
MIB = 1024 * 1024

# Wants, not Requires: a guard that cannot run must not keep a whole cluster down after a power failure.
DROP_IN_TEXT = """# Docker starts PostgreSQL, so its volume has to be there first, and the guard must have looked at its data; at
# shutdown PostgreSQL gets its time.
[Unit]
RequiresMountsFor=%s
Wants=%s
After=%s

[Service]
TimeoutStopSec=330
""" % (ROOT, UNIT_NAME, UNIT_NAME)


class Volume(NamedTuple):
    """A data volume. `device`: its device node; `filesystem` and `uuid`: None while it is blank; `read_only`: mounted, but
    not writable."""

    device: Optional[str]
    filesystem: Optional[str]
    uuid: Optional[str]
    ready: bool
    read_only: bool = False


def observe_volume(volume_id: str, cluster: str) -> Volume:
    """Observes the volume; changes nothing."""
    device = find_device(volume_id)
    if device is None:
        return Volume(None, None, None, False)
    signature = probe(device)
    filesystem, uuid = signature.get("TYPE"), signature.get("UUID")
    mounts = read_text(MOUNTS) or ""
    if has_shut_down(mounts):
        return Volume(device, filesystem, uuid, False, True)
    ready = (
        uuid is not None
        and has_fstab_entry(read_text(FSTAB) or "", uuid, filesystem)
        and read_text(DROP_IN) == DROP_IN_TEXT
        and is_guard_current()
        and find_mounted_device(mounts) == device_number(device)
        and (read_json(MARKER) or {}).get("cluster") == cluster
    )
    return Volume(device, filesystem, uuid, ready, is_read_only(mounts))


def ensure_volume(volume_id: str, cluster: str) -> bool:
    """Formats a blank volume, mounts it now and at every boot, and marks it; returns whether anything changed.

    Raises Problem if the volume is missing, or holds anything that this cluster did not write.
    """
    before = observe_volume(volume_id, cluster)
    if before.ready:
        return False
    device = before.device or wait_for_device(volume_id)
    signature = probe(device)
    if not signature:
        # Only without any signature, not even that of a partition table: mkfs would destroy the data of another use.
        require_blank(device, volume_id)
        ensure_program("mkfs.xfs", "xfsprogs")
        # xfs grows online without CAP_SYS_RESOURCE, which ext4 requires. -K: a blank volume has nothing to discard.
        run(["mkfs.xfs", "-q", "-K", device], timeout=600)
        signature = probe(device)
    filesystem = signature.get("TYPE")
    if filesystem not in USABLE or not signature.get("UUID"):
        raise Problem(
            "volume %s (%s) holds %s, which is not a file system of this cluster; it is left as it is. "
            "Detach it and attach an empty volume, or wipe it yourself if it may go"
            % (volume_id, device, " ".join("%s=%s" % item for item in sorted(signature.items())))
        )
    mount(device, signature["UUID"], filesystem)
    mark(volume_id, cluster)
    return True


def wait_for_device(volume_id: str, seconds: float = 60) -> str:
    """Returns the device node of a volume that may just be being attached."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        device = find_device(volume_id)
        if device is not None:
            return device
        time.sleep(0.5)
    raise Problem(
        "volume %s is not attached to this node: neither %s%s nor %s exists. "
        "Check the volume attachment in Terraform's state and in EC2"
        % (volume_id, BY_ID, volume_id.replace("-", ""), XEN_DEVICE)
    )


def find_device(volume_id: str) -> Optional[str]:
    """Returns the device node of an EBS volume, or None. It is found by its id: the order of NVMe devices changes between
    boots (EC2 User Guide, "Device names for volumes"), and an empty disk may be another's."""
    link = BY_ID + volume_id.replace("-", "")
    if os.path.exists(link):
        return os.path.realpath(link)
    if read_text("/sys/hypervisor/type") == "xen\n" and os.path.exists(XEN_DEVICE):
        return XEN_DEVICE
    return None


def probe(device: str) -> Dict[str, str]:
    """Returns the signatures that blkid finds on a device, e.g. {"TYPE": "ext4", "UUID": "…"}; {} for a blank one."""
    result = run(["blkid", "-p", "-o", "export", device], check=False, timeout=60)
    # It also exits with 2 for a device that it cannot read.
    if result.returncode == 2 and not result.stdout.strip() and not result.stderr.strip():
        return {}
    if result.returncode != 0:
        raise Problem(
            "blkid cannot tell what is on %s (exit code %d); it is left as it is" % (device, result.returncode),
            result.stderr,
        )
    pairs = (line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    return {key: value for key, value in pairs if key != "DEVNAME"}


def require_blank(device: str, volume_id: str) -> None:
    """Raises Problem unless both ends of the device read as zeros, as on a new EBS volume; a read error raises OSError. A
    device with an unknown signature, or that cannot be read, is not blank."""
    with open(device, "rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        for start in (0, max(0, size - MIB)):
            file.seek(start)
            if file.read(MIB).strip(b"\0"):
                raise Problem(
                    "volume %s (%s) carries no known signature but is not empty; it is left as it is. "
                    "Attach an empty volume, or overwrite this one with zeros yourself" % (volume_id, device)
                )


def device_number(device: str) -> str:
    """Returns `major:minor` of a device node."""
    number = os.stat(device)
    if not stat.S_ISBLK(number.st_mode):
        raise Problem("%s is not a block device" % device)
    return "%d:%d" % (os.major(number.st_rdev), os.minor(number.st_rdev))


def find_mounted_device(mountinfo: str) -> Optional[str]:
    """Returns `major:minor` of the device mounted at ROOT, from the text of /proc/self/mountinfo (proc(5)), or None."""
    fields = _find_mount(mountinfo)
    return None if fields is None else fields[2]


def is_read_only(mountinfo: str) -> bool:
    """Whether the file system at ROOT is not writable, from the text of /proc/self/mountinfo: ext4 sets `ro` after an error,
    `emergency_ro` since Linux 6.14 (ext4_handle_error in fs/ext4/super.c), and `shutdown` after it has shut down."""
    fields = _find_mount(mountinfo)
    if fields is None:
        return False
    options = ",".join([fields[5], fields[-1]]).split(",")
    return not {"ro", "emergency_ro", "shutdown"}.isdisjoint(options)


def has_shut_down(mountinfo: str) -> bool:
    """Whether the file system at ROOT has shut itself down after an error, so that nothing can be read from it. xfs does so,
    without any sign in /proc/self/mountinfo: every access fails with EIO (xfs_is_shutdown in fs/xfs)."""
    if _find_mount(mountinfo) is None:
        return False
    try:
        os.stat(ROOT)
    except OSError as error:
        return error.errno == errno.EIO
    return False


def _find_mount(mountinfo: str) -> Optional[List[str]]:
    found = None
    for line in mountinfo.splitlines():
        fields = line.split()
        # Of several mounts at one path the last is visible. `/`: the whole file system, not a bind mount of a part.
        if len(fields) > 9 and fields[4] == ROOT and fields[3] == "/":
            found = fields
    return found


def mount(device: str, uuid: str, filesystem: str) -> None:
    """Mounts the volume at ROOT, now and at every boot, before Docker starts."""
    make_directory(ROOT, 0o755)
    fstab = read_text(FSTAB) or ""
    changed = False
    if not has_fstab_entry(fstab, uuid, filesystem):
        changed = write_text(FSTAB, edit_fstab(fstab, uuid, filesystem))
    make_directory(os.path.dirname(DROP_IN))
    changed = write_text(DROP_IN, DROP_IN_TEXT) or changed
    changed = ensure_guard() or changed
    if changed:
        run(["systemctl", "daemon-reload"], timeout=120)
    mounted = find_mounted_device(read_text(MOUNTS) or "")
    if mounted is None:
        mount_unit(device, uuid)
    elif mounted != device_number(device):
        raise Problem("another device (%s) is mounted at %s; unmount it first" % (mounted, ROOT))
    elif changed and filesystem == "ext4" and not is_read_only(read_text(MOUNTS) or ""):
        # In place, without an interruption.
        run(["mount", "-o", "remount," + find_errors_option(read_text(FSTAB) or "", uuid), ROOT], timeout=60)


def mount_unit(device: str, uuid: str) -> None:
    """Mounts through the unit that systemd generated from fstab, once udev has created the link that the unit waits for.

    `mount` could run before the link exists: the unit would then be mounted while its device is absent, and systemd
    before 248 unmounts it at once ("bound to inactive unit").
    """
    wait_for_link(device, uuid)
    result = run(["systemctl", "start", UNIT], timeout=300, check=False)
    mounted = find_mounted_device(read_text(MOUNTS) or "")
    if result.returncode != 0 or mounted != device_number(device):
        status = run(["systemctl", "status", "--no-pager", "--full", UNIT], timeout=60, check=False)
        raise Problem(
            "systemd did not mount %s at %s (unit %s, exit code %d; mounted there: %s). "
            "Check the log of the unit, then run this again"
            % (device, ROOT, UNIT, result.returncode, mounted or "nothing"),
            (result.stderr + status.stdout)[-4000:],
        )


def wait_for_link(device: str, uuid: str, seconds: float = 60) -> None:
    """Waits until udev has noticed the file system that was just created: until /dev/disk/by-uuid has it."""
    link = "%s/%s" % (BY_UUID, uuid)
    deadline = time.monotonic() + seconds
    is_triggered = False
    while not os.path.exists(link) or device_number(link) != device_number(device):
        if time.monotonic() > deadline:
            listed = sorted(os.listdir(BY_UUID)) if os.path.isdir(BY_UUID) else []
            raise Problem(
                "udev made no link %s to %s within %d s (there are: %s), so systemd cannot mount it. "
                "Check `udevadm info %s` and `systemctl status systemd-udevd` there, then run this again"
                % (link, device, seconds, ", ".join(listed[:10]) or "none", device)
            )
        if not is_triggered:
            # udev watches for a writer that closes the device; this is for a system without that rule.
            run(["udevadm", "trigger", "--action=change", "--name-match=" + device], timeout=60, check=False)
            run(["udevadm", "settle", "--timeout=30"], timeout=60, check=False)
            is_triggered = True
            continue
        time.sleep(0.1)


def mark(volume_id: str, cluster: str) -> None:
    """Writes the marker on the cluster's volume, or on an empty one."""
    marker: Optional[Dict[str, Any]] = read_json(MARKER)
    if marker is None:
        others = sorted(set(os.listdir(ROOT)) - {"lost+found", os.path.basename(MARKER) + ".new"})
        if others:
            raise Problem(
                "volume %s holds files that this cluster did not write (%s); they are left as they are. "
                "Attach an empty volume, or move them away" % (volume_id, ", ".join(others[:5]))
            )
    elif marker.get("cluster") != cluster:
        raise Problem(
            "volume %s belongs to cluster %r, not to %r; it is left as it is"
            % (volume_id, marker.get("cluster"), cluster)
        )
    write_text(MARKER, json.dumps({"cluster": cluster, "volume": volume_id}) + "\n")


def require_mounted(cluster: str) -> None:
    """Raises Problem unless the cluster's own volume is mounted: in the empty directory of a failed mount, the official
    image would initialise a new, empty primary (docker-entrypoint.sh)."""
    if find_mounted_device(read_text(MOUNTS) or "") is None:
        raise Problem("no volume is mounted at %s; nothing was started" % ROOT)
    if (read_json(MARKER) or {}).get("cluster") != cluster:
        raise Problem("the volume at %s does not carry the marker of cluster %r" % (ROOT, cluster))
