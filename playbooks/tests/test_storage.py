import errno
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import observe, storage, volume
from postgres_cluster.layout import ROOT

GIB = 1024**3


class Sysfs:
    """A sysfs and a mountinfo in a folder: the data volume as a whole device, the root volume as a partition."""

    def __init__(self, folder):
        self.folder = folder
        self.mountinfo = folder + "/mountinfo"
        self.disk("nvme0n1", "259:0", 16)
        self.disk("nvme1n1", "259:1", 20)
        self.write("nvme0n1/device/serial", "vol0abc1234567890abc  \n")
        root = "nvme0n1/nvme0n1p1"
        self.write(root + "/size", "%d\n" % ((16 * GIB - 130 * 1024**2) // 512))
        self.write(root + "/partition", "1\n")
        self.write(root + "/uevent", "MAJOR=259\nMINOR=2\nDEVNAME=nvme0n1p1\nDEVTYPE=partition\n")
        self.link("259:2", root)
        self.mount(("259:2", "/", "ext4"), ("259:1", ROOT, "xfs"))

    def write(self, path, text):
        os.makedirs(os.path.dirname("%s/devices/%s" % (self.folder, path)), exist_ok=True)
        with open("%s/devices/%s" % (self.folder, path), "w") as file:
            file.write(text)

    def link(self, number, path):
        os.makedirs(self.folder + "/block", exist_ok=True)
        os.symlink("../devices/" + path, "%s/block/%s" % (self.folder, number))

    def disk(self, name, number, gib):
        self.write(name + "/size", "%d\n" % (gib * GIB // 512))
        self.write(name + "/uevent", "DEVNAME=%s\nDEVTYPE=disk\n" % name)
        if not os.path.lexists("%s/block/%s" % (self.folder, number)):
            self.link(number, name)

    def mount(self, *mounts):
        with open(self.mountinfo, "w") as file:
            for number, path, kind in mounts:
                file.write("36 35 %s / %s rw,noatime shared:1 master:2 - %s /dev/somewhere rw\n" % (number, path, kind))

    def patch(self, **more):
        return mock.patch.multiple(storage, MOUNTS=self.mountinfo, BLOCK_DEVICES=self.folder + "/block", **more)


class Sizes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.sysfs = Sysfs(os.path.realpath(folder.name))

    def find(self, path):
        with self.sysfs.patch():
            return storage.find_mount(path)

    def test_a_file_system_on_a_whole_device_is_found(self):
        found = self.find(ROOT)
        self.assertEqual((found.filesystem, found.device, found.disk_device, found.partition), ("xfs", "/dev/nvme1n1", "/dev/nvme1n1", None))

    def test_the_disk_of_a_partition_is_found_in_sysfs(self):
        found = self.find("/")
        self.assertEqual((found.filesystem, found.device, found.disk_device, found.partition), ("ext4", "/dev/nvme0n1p1", "/dev/nvme0n1", 1))

    def test_no_block_device_is_no_file_system_to_measure(self):
        self.sysfs.mount(("0:35", "/", "overlay"))
        self.assertIsNone(self.find("/"))
        self.assertIsNone(self.find(ROOT))

    def test_the_last_mount_at_a_path_counts(self):
        self.sysfs.mount(("259:2", ROOT, "ext4"), ("259:1", ROOT, "xfs"))
        self.assertEqual(self.find(ROOT).filesystem, "xfs")

    def test_the_device_is_the_whole_disk(self):
        counts = mock.Mock(f_blocks=1000, f_bfree=700, f_bavail=600, f_frsize=4096)
        with self.sysfs.patch(_read_filesystem_bytes=lambda mount, path: 15 * GIB), mock.patch.object(
            storage.os, "statvfs", return_value=counts
        ):
            self.assertEqual(
                storage.measure("/"),
                {
                    "deviceBytes": 16 * GIB,
                    "filesystemBytes": 15 * GIB,
                    "capacityBytes": 4096000,
                    "usedBytes": 300 * 4096,
                    "freeBytes": 600 * 4096,
                },
            )

    def test_a_file_system_of_unknown_size_fills_its_device(self):
        self.sysfs.mount(("259:1", "/", "btrfs"))
        with self.sysfs.patch():
            self.assertEqual(storage.measure("/")["filesystemBytes"], 20 * GIB)


class Superblock(unittest.TestCase):
    """Offsets: kernel documentation, "ext4 Data Structures and Algorithms", The Super Block."""

    def block(self, low, high, log, incompat=0x2C2, magic=0xEF53):
        block = bytearray(1024)
        for form, at, value in [("<I", 4, low), ("<I", 0x18, log), ("<H", 0x38, magic), ("<I", 0x60, incompat), ("<I", 0x150, high)]:
            struct.pack_into(form, block, at, value)
        return bytes(block)

    def test_blocks_times_their_size(self):
        self.assertEqual(storage.parse_ext4_bytes(self.block(5242880, 0, 2)), 20 * GIB)
        self.assertEqual(storage.parse_ext4_bytes(self.block(1 << 20, 0, 0)), GIB)

    def test_more_than_16_tib_use_the_upper_half(self):
        self.assertEqual(storage.parse_ext4_bytes(self.block(0, 2, 2)), 32 * 1024 * GIB)
        # Without the feature the field may hold anything.
        self.assertEqual(storage.parse_ext4_bytes(self.block(5242880, 7, 2, incompat=0x242)), 20 * GIB)

    def test_something_else_has_no_size(self):
        self.assertIsNone(storage.parse_ext4_bytes(self.block(1, 0, 2, magic=0)))
        self.assertIsNone(storage.parse_ext4_bytes(b"short"))

    @unittest.skipIf(shutil.which("mkfs.ext4") is None, "no mkfs.ext4")
    def test_what_mkfs_writes_is_read(self):
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(64 * 1024**2)
            subprocess.run(["mkfs.ext4", "-q", "-F", file.name, "40M"], check=True)
            file.seek(storage.EXT4_SUPERBLOCK)
            self.assertEqual(storage.parse_ext4_bytes(file.read(1024)), 40 * 1024**2)


class Geometry(unittest.TestCase):
    """struct xfs_fsop_geom_v1 and XFS_IOC_FSGEOMETRY_V1 in fs/xfs/libxfs/xfs_fs.h."""

    def test_the_request_is_that_of_the_header(self):
        # 8 __u32, 4 __u64, a uuid of 16 bytes, 7 __u32: padded to a multiple of 8.
        size = struct.calcsize("@8I4Q16s7I0Q")
        self.assertEqual(size, storage.XFS_GEOMETRY_BYTES)
        # _IOR in asm-generic/ioctl.h: 2 in the two upper bits, then 14 of the size, 8 of the type, 8 of the number.
        self.assertEqual(2 << 30 | size << 16 | ord("X") << 8 | 100, storage.XFS_IOC_FSGEOMETRY_V1)

    def test_blocks_times_their_size(self):
        def ioctl(handle, request, buffer):
            self.assertEqual(request, storage.XFS_IOC_FSGEOMETRY_V1)
            struct.pack_into("@8I4Q", buffer, 0, 4096, 1, 65536, 8, 16384, 512, 512, 25, 524288, 0, 0, 262150)

        with mock.patch.object(storage.fcntl, "ioctl", ioctl):
            self.assertEqual(storage._read_xfs_bytes("/"), 2 * GIB)


class ShutDown(unittest.TestCase):
    """xfs shuts down after an error: it stays mounted `rw`, and every access fails with EIO."""

    MOUNTED = "36 35 259:1 / %s rw,noatime - xfs /dev/nvme1n1 rw,inode64,noquota\n" % ROOT

    def ask(self, mountinfo, error):
        def fail(path):
            if error is not None:
                raise OSError(error, os.strerror(error), path)

        with mock.patch.object(volume.os, "stat", fail):
            return volume.has_shut_down(mountinfo)

    def test_it_is_found_by_reading(self):
        self.assertFalse(volume.is_read_only(self.MOUNTED))
        self.assertTrue(self.ask(self.MOUNTED, errno.EIO))

    def test_nothing_else_is(self):
        self.assertFalse(self.ask(self.MOUNTED, None))
        self.assertFalse(self.ask(self.MOUNTED, errno.EACCES))
        self.assertFalse(self.ask("", errno.EIO))

    def test_such_a_volume_takes_no_writes_and_nothing_of_it_is_read(self):
        signature = {"TYPE": "xfs", "UUID": "u"}
        with mock.patch.multiple(
            volume,
            find_device=lambda _: "/dev/nvme1n1",
            probe=lambda _: signature,
            has_shut_down=lambda _: True,
            read_text=lambda path: self.MOUNTED if path == volume.MOUNTS else self.fail(path),
            read_json=lambda path: self.fail(path),
        ):
            self.assertEqual(volume.observe_volume("vol-1", "orders"), volume.Volume("/dev/nvme1n1", "xfs", "u", False, True))

    def test_the_observation_of_such_a_node_is_complete(self):
        found = volume.Volume("/dev/nvme1n1", "xfs", "u", False, True)
        options = {
            "name": "node-1", "cluster": "orders", "image": "postgres:17", "volume_id": "vol-1",
            "user": "admin", "authorized_key": "k", "retired_keys": [], "backup_key": None,
        }

        def unreadable(*_):
            raise OSError(errno.EIO, "Input/output error")

        with mock.patch.multiple(
            observe,
            observe_volume=lambda *_: found,
            has_shut_down=lambda _: True,
            read_version=lambda: "20",
            inspect_container=lambda _: {"State": {"Status": "running"}},
            inspect_image=lambda _: None,
            is_starting_at_boot=lambda: True,
            are_keys_current=lambda *_: True,
            read_record=unreadable,
            observe_storage=unreadable,
            judge_data=unreadable,
            _observe_postgres=unreadable,
        ):
            seen = observe.observe_node(options)
        self.assertEqual((seen["volume"]["readOnly"], seen["data"], seen["postgres"]), (True, "absent", None))


if __name__ == "__main__":
    unittest.main()
