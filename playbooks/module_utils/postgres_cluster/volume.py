"""The data volume of a node: found by its EBS id, formatted only when blank, mounted by UUID."""

from __future__ import annotations

import json
import os
import stat
import time
from typing import Any, Dict, List, NamedTuple, Optional

from .boot import UNIT_NAME, ensure_guard, is_guard_current
from .command import Problem, run
from .files import make_directory, read_json, read_text, write_text
from .layout import MARKER, ROOT

BY_ID = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_"
# The name that Terraform attaches the volume under (/dev/sdf), as a Xen kernel spells it. Xen instances
# (t2, m4, …) have no NVMe and no link by id, but the name is the attachment's own and stable.
XEN_DEVICE = "/dev/xvdf"
BY_UUID = "/dev/disk/by-uuid"
FSTAB = "/etc/fstab"
MOUNTS = "/proc/self/mountinfo"
# What systemd makes of ROOT's line in fstab (systemd.mount(5): the path, escaped).
UNIT = "var-lib-postgresql\\x2dcluster.mount"
DROP_IN = "/etc/systemd/system/docker.service.d/20-postgres-cluster.conf"
USABLE = ("ext4", "xfs")
MIB = 1024 * 1024

# Wanted and no more: a guard that cannot run must not keep a whole cluster down after a power cut.
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
    """What was found. `device` is a device node, `filesystem` and `uuid` are None while it is blank. `read_only`:
    mounted, but nothing can be written to it."""

    device: Optional[str]
    filesystem: Optional[str]
    uuid: Optional[str]
    ready: bool
    read_only: bool = False


def observe_volume(volume_id: str, cluster: str) -> Volume:
    """Looks for the volume; changes nothing."""
    device = find_device(volume_id)
    if device is None:
        return Volume(None, None, None, False)
    signature = probe(device)
    filesystem, uuid = signature.get("TYPE"), signature.get("UUID")
    mounts = read_text(MOUNTS) or ""
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
        run(["mkfs.ext4", "-q", "-m", "1", "-e", "remount-ro", device], timeout=600)
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
    fields = _find_mount(mountinfo)
    return None if fields is None else fields[2]


def is_read_only(mountinfo: str) -> bool:
    """Whether what is mounted at ROOT takes no writes, from the text of /proc/self/mountinfo: ext4 sets `ro` after an
    error, `emergency_ro` since Linux 6.14 (ext4_handle_error in fs/ext4/super.c), and `shutdown` where it gave up."""
    fields = _find_mount(mountinfo)
    if fields is None:
        return False
    options = ",".join([fields[5], fields[-1]]).split(",")
    return not {"ro", "emergency_ro", "shutdown"}.isdisjoint(options)


def _find_mount(mountinfo: str) -> Optional[List[str]]:
    found = None
    for line in mountinfo.splitlines():
        fields = line.split()
        # Of several mounts on one place the last is the visible one; the root of it must be whole.
        if len(fields) > 9 and fields[4] == ROOT and fields[3] == "/":
            found = fields
    return found


def has_fstab_entry(fstab: str, uuid: str, filesystem: Optional[str]) -> bool:
    """Whether an /etc/fstab mounts this file system at ROOT, and says what an error does to it."""
    return any(_is_entry(line.split(), uuid) and _says_errors(line.split(), filesystem) for line in fstab.splitlines())


def edit_fstab(fstab: str, uuid: str, filesystem: str) -> str:
    """The text of an /etc/fstab with one line for ROOT. Other lines stay, and so do its own options."""
    # nofail: a lost volume must not keep the node from booting, where one can look at it. Docker, ordered
    # after this mount, then stays down, and with it PostgreSQL.
    entry = ["UUID=" + uuid, ROOT, filesystem, "defaults,noatime,nofail,x-systemd.device-timeout=30s", "0", "2"]
    kept = []
    for line in fstab.splitlines():
        fields = line.split()
        if _is_entry(fields, uuid) and len(fields) > 3:
            entry = fields
        elif line.startswith("#") or fields[1:2] != [ROOT]:
            kept.append(line)
    if not _says_errors(entry, filesystem):
        # Debian has it for its root. By itself ext4 goes on writing to what it knows to be damaged.
        entry[3] += ",errors=remount-ro"
    return "\n".join(kept + [" ".join(entry), ""])


def _is_entry(fields: List[str], uuid: str) -> bool:
    return fields[:2] == ["UUID=" + uuid, ROOT]


def _says_errors(fields: List[str], filesystem: Optional[str]) -> bool:
    """xfs has no such option: it shuts itself down. A choice of the team's own counts."""
    return filesystem != "ext4" or any(option.startswith("errors=") for option in ",".join(fields[3:4]).split(","))


def mount(device: str, uuid: str, filesystem: str) -> None:
    """Mounts the volume at ROOT, now and at every boot, Docker after it."""
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
        # In place: nothing that runs on it notices.
        run(["mount", "-o", "remount," + find_errors(read_text(FSTAB) or "", uuid), ROOT], timeout=60)


def find_errors(fstab: str, uuid: str) -> str:
    """What the line of this file system says of errors, e.g. `errors=remount-ro`; it is there."""
    fields = next(line.split() for line in fstab.splitlines() if _is_entry(line.split(), uuid))
    return next(option for option in fields[3].split(",") if option.startswith("errors="))


def mount_unit(device: str, uuid: str) -> None:
    """Mounts through the unit that systemd made of fstab's line, once udev has the link that it waits for.

    A mount by hand may come before that: the unit counts as mounted while the device it belongs to counts as absent,
    and systemd before 248 unmounts it at once ("bound to inactive unit").
    """
    wait_for_link(device, uuid)
    result = run(["systemctl", "start", UNIT], timeout=300, check=False)
    mounted = find_mounted_device(read_text(MOUNTS) or "")
    if result.returncode != 0 or mounted != device_number(device):
        status = run(["systemctl", "status", "--no-pager", "--full", UNIT], timeout=60, check=False)
        raise Problem(
            "systemd did not mount %s at %s (unit %s, exit code %d; mounted there: %s). "
            "Look at the log of the unit, then run this again"
            % (device, ROOT, UNIT, result.returncode, mounted or "nothing"),
            (result.stderr + status.stdout)[-4000:],
        )


def wait_for_link(device: str, uuid: str, seconds: float = 60) -> None:
    """Waits until udev has seen the file system that was just made: until /dev/disk/by-uuid has it."""
    link = "%s/%s" % (BY_UUID, uuid)
    deadline = time.monotonic() + seconds
    asked = False
    while not os.path.exists(link) or device_number(link) != device_number(device):
        if time.monotonic() > deadline:
            listed = sorted(os.listdir(BY_UUID)) if os.path.isdir(BY_UUID) else []
            raise Problem(
                "udev made no link %s to %s within %d s (there are: %s), so systemd cannot mount it. "
                "Look at `udevadm info %s` and `systemctl status systemd-udevd` there, then run this again"
                % (link, device, seconds, ", ".join(listed[:10]) or "none", device)
            )
        if not asked:
            # Its own watch tells udev when a writer closes the device; this is for a system without.
            run(["udevadm", "trigger", "--action=change", "--name-match=" + device], timeout=60, check=False)
            run(["udevadm", "settle", "--timeout=30"], timeout=60, check=False)
            asked = True
            continue
        time.sleep(0.1)


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
    if find_mounted_device(read_text(MOUNTS) or "") is None:
        raise Problem("no volume is mounted at %s; nothing was started" % ROOT)
    if (read_json(MARKER) or {}).get("cluster") != cluster:
        raise Problem("the volume at %s does not carry the marker of cluster %r" % (ROOT, cluster))
