"""The data volume of a node: found by its EBS id, formatted only when blank, mounted by UUID."""

from __future__ import annotations

import json
import os
import stat
import time
from typing import Any, Dict, NamedTuple, Optional

from .command import Problem, run
from .files import make_directory, read_json, read_text, write_text
from .layout import MARKER, ROOT

BY_ID = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_"
# The name that Terraform attaches the volume under (/dev/sdf), as a Xen kernel spells it. Xen instances
# (t2, m4, …) have no NVMe and no link by id, but the name is the attachment's own and stable.
XEN_DEVICE = "/dev/xvdf"
FSTAB = "/etc/fstab"
DROP_IN = "/etc/systemd/system/docker.service.d/20-postgres-cluster.conf"
USABLE = ("ext4", "xfs")
MIB = 1024 * 1024

DROP_IN_TEXT = """# Docker starts PostgreSQL, so its volume has to be there first; at shutdown PostgreSQL gets its time.
[Unit]
RequiresMountsFor=%s

[Service]
TimeoutStopSec=330
""" % ROOT


class Volume(NamedTuple):
    """What was found. `device` is a device node, `filesystem` and `uuid` are None while it is blank."""

    device: Optional[str]
    filesystem: Optional[str]
    uuid: Optional[str]
    ready: bool


def observe_volume(volume_id: str, cluster: str) -> Volume:
    """Looks for the volume; changes nothing."""
    device = find_device(volume_id)
    if device is None:
        return Volume(None, None, None, False)
    signature = probe(device)
    filesystem, uuid = signature.get("TYPE"), signature.get("UUID")
    ready = (
        uuid is not None
        and has_fstab_entry(read_text(FSTAB) or "", uuid)
        and read_text(DROP_IN) == DROP_IN_TEXT
        and find_mounted_device(read_text("/proc/self/mountinfo") or "") == device_number(device)
        and (read_json(MARKER) or {}).get("cluster") == cluster
    )
    return Volume(device, filesystem, uuid, ready)


def ensure_volume(volume_id: str, cluster: str) -> bool:
    """Formats a blank volume, mounts it now and at every boot, and marks it; gives whether anything changed.

    Raises Problem for a volume that is missing or that holds anything not made by this cluster.
    """
    before = observe_volume(volume_id, cluster)
    if before.ready:
        return False
    device = before.device or wait_for_device(volume_id)
    signature = probe(device)
    if not signature:
        # Trap 27: only where nothing, not even a partition table, has left a signature.
        require_blank(device, volume_id)
        run(["mkfs.ext4", "-q", "-m", "1", device], timeout=600)
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
    """The device node of a volume whose attachment may be just under way."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        device = find_device(volume_id)
        if device is not None:
            return device
        time.sleep(0.5)
    raise Problem(
        "volume %s is not attached to this node: neither %s%s nor %s exists. "
        "Look at the volume attachment in Terraform's state and in EC2"
        % (volume_id, BY_ID, volume_id.replace("-", ""), XEN_DEVICE)
    )


def find_device(volume_id: str) -> Optional[str]:
    """The device node of an EBS volume, or None. Trap 27: by its id, never by order or emptiness."""
    link = BY_ID + volume_id.replace("-", "")
    if os.path.exists(link):
        return os.path.realpath(link)
    if read_text("/sys/hypervisor/type") == "xen\n" and os.path.exists(XEN_DEVICE):
        return XEN_DEVICE
    return None


def probe(device: str) -> Dict[str, str]:
    """Every signature blkid finds on a device, e.g. {"TYPE": "ext4", "UUID": "…"}; empty for a blank one."""
    result = run(["blkid", "-p", "-o", "export", device], check=False, timeout=60)
    # 2 is also what it says of a device that it cannot read.
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
    """Raises Problem unless both ends of the device read as zeros, as those of a new EBS volume do; an error
    while reading raises OSError. A signature nobody knows, or a disk that fails to read, is not blank."""
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
    """`major:minor` of a device node."""
    number = os.stat(device)
    if not stat.S_ISBLK(number.st_mode):
        raise Problem("%s is not a block device" % device)
    return "%d:%d" % (os.major(number.st_rdev), os.minor(number.st_rdev))


def find_mounted_device(mountinfo: str) -> Optional[str]:
    """`major:minor` of what is mounted at ROOT, from the text of /proc/self/mountinfo (proc(5)); else None."""
    found = None
    for line in mountinfo.splitlines():
        fields = line.split()
        # Of several mounts on one place the last is the visible one; the root of it must be whole.
        if len(fields) > 4 and fields[4] == ROOT and fields[3] == "/":
            found = fields[2]
    return found


def has_fstab_entry(fstab: str, uuid: str) -> bool:
    """Whether an /etc/fstab mounts this file system at ROOT."""
    return any(
        line.split()[:2] == ["UUID=" + uuid, ROOT]
        for line in fstab.splitlines()
        if not line.startswith("#")
    )


def edit_fstab(fstab: str, uuid: str, filesystem: str) -> str:
    """The text of an /etc/fstab with one line for ROOT; other lines stay."""
    kept = [line for line in fstab.splitlines() if line.startswith("#") or line.split()[1:2] != [ROOT]]
    # nofail: a lost volume must not keep the node from booting, where one can look at it. Docker, ordered
    # after this mount, then stays down, and with it PostgreSQL.
    options = "defaults,noatime,nofail,x-systemd.device-timeout=30s"
    return "\n".join(kept + ["UUID=%s %s %s %s 0 2" % (uuid, ROOT, filesystem, options), ""])


def mount(device: str, uuid: str, filesystem: str) -> None:
    """Mounts the volume at ROOT, now and at every boot, Docker after it."""
    make_directory(ROOT, 0o755)
    fstab = read_text(FSTAB) or ""
    changed = False
    if not has_fstab_entry(fstab, uuid):
        changed = write_text(FSTAB, edit_fstab(fstab, uuid, filesystem))
    make_directory(os.path.dirname(DROP_IN))
    changed = write_text(DROP_IN, DROP_IN_TEXT) or changed
    if changed:
        run(["systemctl", "daemon-reload"], timeout=120)
    mounted = find_mounted_device(read_text("/proc/self/mountinfo") or "")
    if mounted is None:
        # By device: the link by UUID is udev's and may be a moment late after mkfs.
        run(["mount", "-t", filesystem, "-o", "noatime", device, ROOT], timeout=300)
    elif mounted != device_number(device):
        raise Problem("another device (%s) is mounted at %s; unmount it first" % (mounted, ROOT))


def mark(volume_id: str, cluster: str) -> None:
    """Writes the marker on a volume that is the cluster's, or holds nothing yet."""
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
    """Raises Problem unless the cluster's own volume is mounted (trap 1)."""
    if find_mounted_device(read_text("/proc/self/mountinfo") or "") is None:
        raise Problem("no volume is mounted at %s; nothing was started" % ROOT)
    if (read_json(MARKER) or {}).get("cluster") != cluster:
        raise Problem("the volume at %s does not carry the marker of cluster %r" % (ROOT, cluster))
