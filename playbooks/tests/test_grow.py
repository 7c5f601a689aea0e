import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))
sys.path.insert(0, os.path.dirname(__file__))

from postgres_cluster import grow, packages, volume
from postgres_cluster.command import Problem
from postgres_cluster.layout import ROOT
from test_storage import GIB, Sysfs

MIB = 1024**2


class Grow(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.sysfs = Sysfs(os.path.realpath(folder.name))
        self.sizes = {ROOT: 20 * GIB, "/": 16 * GIB - 130 * MIB}
        self.after = dict(self.sizes)
        self.codes = {}
        self.calls = []
        self.installed = []
        self.attached = "259:1"

    def run_program(self, argv, **_):
        self.calls.append(" ".join(argv))
        code, out = self.codes.get(argv[0], (0, ""))
        if code == 0:
            self.sizes = dict(self.after)
        elif argv[0] != "growpart":
            raise Problem("`%s` failed with exit code %d" % (argv[0], code), out)
        return mock.Mock(returncode=code, stdout=out, stderr="")

    def grow(self, data=20, root=16):
        counts = mock.Mock(f_blocks=1000, f_bfree=700, f_bavail=600, f_frsize=4096)
        with self.sysfs.patch(_read_filesystem_bytes=lambda mount, path: self.sizes[path]), mock.patch.multiple(
            grow,
            run=self.run_program,
            ensure_program=lambda program, package: self.installed.append((program, package)),
            require_mounted=lambda cluster: None,
            find_device=lambda _: "/dev/nvme1n1",
            device_number=lambda _: self.attached,
            MOUNTS=self.sysfs.mountinfo,
        ), mock.patch("os.statvfs", return_value=counts):
            return grow.grow("node-2", "orders", "vol-0def", data, root)

    def test_xfs_grows_into_its_device(self):
        self.sysfs.disk("nvme1n1", "259:1", 40)
        self.after[ROOT] = 40 * GIB
        self.assertEqual(self.grow(data=40), ["data volume 20 GiB → 40 GiB"])
        self.assertEqual(self.calls, ["xfs_growfs -d " + ROOT])
        self.assertEqual(self.installed, [("xfs_growfs", "xfsprogs")])

    def test_ext4_grows_by_its_device(self):
        self.sysfs.mount(("259:2", "/", "ext4"), ("259:1", ROOT, "ext4"))
        self.sysfs.disk("nvme1n1", "259:1", 21)
        # A last block group that is too small for its own tables is left out.
        self.after[ROOT] = 21 * GIB - 100 * MIB
        self.assertEqual(self.grow(data=21), ["data volume 20 GiB → 20.9 GiB"])
        self.assertEqual(self.calls, ["resize2fs /dev/nvme1n1"])
        self.calls.clear()
        self.assertEqual((self.grow(data=21), self.calls), ([], []))

    def test_the_partition_of_the_root_grows_first(self):
        self.sysfs.disk("nvme0n1", "259:0", 24)
        self.after["/"] = 24 * GIB - 130 * MIB
        self.assertEqual(self.grow(root=24), ["root volume 15.9 GiB → 23.9 GiB"])
        self.assertEqual(self.calls, ["growpart /dev/nvme0n1 1", "resize2fs /dev/nvme0n1p1"])
        self.assertEqual(self.installed, [("growpart", "cloud-guest-utils"), ("resize2fs", "e2fsprogs")])

    def test_a_partition_that_has_grown_already_is_no_failure(self):
        self.sysfs.disk("nvme0n1", "259:0", 24)
        self.after["/"] = 24 * GIB - 130 * MIB
        self.codes["growpart"] = (1, "NOCHANGE: partition 1 is size 50069504. it cannot be grown")
        self.grow(root=24)
        self.assertEqual(self.calls[-1], "resize2fs /dev/nvme0n1p1")
        self.sizes["/"] = 16 * GIB
        self.codes["growpart"] = (2, "FAILED: sfdisk failed")
        with self.assertRaises(Problem) as raised:
            self.grow(root=24)
        self.assertIn("`growpart /dev/nvme0n1 1` failed with exit code 2", raised.exception.message)
        self.assertIn("sfdisk failed", raised.exception.log)

    def test_what_fills_its_device_is_left_alone(self):
        self.assertEqual((self.grow(), self.calls, self.installed), ([], [], []))

    def test_a_device_that_is_larger_than_requested_is_left_alone(self):
        self.sysfs.disk("nvme1n1", "259:1", 40)
        self.assertEqual((self.grow(data=20), self.calls), ([], []))

    def test_a_host_whose_root_has_no_device_has_nothing_to_grow_there(self):
        self.sysfs.mount(("0:35", "/", "overlay"), ("259:1", ROOT, "xfs"))
        self.assertEqual((self.grow(root=100), self.calls), ([], []))

    def test_a_volume_that_ec2_has_not_grown_is_named_with_the_next_step(self):
        self.sysfs.disk("nvme0n1", "259:0", 24)
        self.after["/"] = 24 * GIB - 130 * MIB
        with self.assertRaises(grow.StillSmall) as raised:
            self.grow(data=40, root=24)
        # The other one grew.
        self.assertEqual(self.calls[-1], "resize2fs /dev/nvme0n1p1")
        self.assertEqual(
            raised.exception.message,
            "node-2: its data volume vol-0def has 20 GiB, and 40 GiB were requested. Nothing is lost, and PostgreSQL keeps "
            "running. EC2 has not finished the modification of the volume, or it failed: look at it with `aws ec2 "
            "describe-volumes-modifications --volume-ids vol-0def`, then run the job again; Terraform reads the size that "
            "the volume has and modifies it again",
        )
        self.assertEqual(
            raised.exception.waiting, "waiting until EC2 has grown the data volume vol-0def from 20 GiB to 40 GiB"
        )

    def test_the_id_of_the_root_volume_is_its_serial_number(self):
        with self.assertRaises(grow.StillSmall) as raised:
            self.grow(root=24)
        self.assertIn("root volume vol-0abc1234567890abc has 16 GiB", raised.exception.message)
        # A host without NVMe, or one that reports anything else.
        for serial in ("", "vol0abc; reboot"):
            self.sysfs.write("nvme0n1/device/serial", serial)
            with self.assertRaises(grow.StillSmall) as raised:
                self.grow(root=24)
            self.assertIn("root volume has 16 GiB", raised.exception.message)
            self.assertNotIn("reboot", raised.exception.message)

    def test_another_device_at_the_mount_point_is_not_touched(self):
        self.sysfs.disk("nvme1n1", "259:1", 40)
        self.attached = "259:9"
        with self.assertRaises(Problem) as raised:
            self.grow(data=40)
        self.assertRegex(raised.exception.message, r"^the device at \S+ \(259:1\) is not volume vol-0def")
        self.assertEqual(self.calls, [])

    def test_a_failure_says_what_stays_and_that_nothing_is_lost(self):
        self.sysfs.mount(("259:1", ROOT, "ext4"))
        self.sysfs.disk("nvme1n1", "259:1", 40)
        self.codes["resize2fs"] = (1, "resize2fs: Permission denied to resize filesystem")
        with self.assertRaises(Problem) as raised:
            self.grow(data=40)
        self.assertRegex(
            raised.exception.message,
            r"^node-2: the file system at \S+ \(ext4 on /dev/nvme1n1\) stays at 20 GiB of 40 GiB: `resize2fs` failed with exit "
            r"code 1\. Nothing is lost",
        )
        self.assertIn("Permission denied", raised.exception.log)

    def test_a_program_that_reports_success_and_grows_nothing_is_a_failure(self):
        self.sysfs.disk("nvme1n1", "259:1", 40)
        with self.assertRaises(Problem) as raised:
            self.grow(data=40)
        self.assertIn("has 20 GiB after it was grown", raised.exception.message)


class Programs(unittest.TestCase):
    def test_only_a_missing_program_is_installed(self):
        for path, expected in [("/usr/sbin/mkfs.xfs", []), (None, ["xfsprogs"])]:
            with self.subTest(path), mock.patch.object(packages.shutil, "which", return_value=path), mock.patch.object(
                packages, "install"
            ) as install:
                packages.ensure_program("mkfs.xfs", "xfsprogs")
                self.assertEqual([call.args[0] for call in install.call_args_list], expected)


class Format(unittest.TestCase):
    def ensure(self, signatures):
        calls = []
        found = volume.Volume("/dev/nvme1n1", None, None, False)
        with mock.patch.multiple(
            volume,
            observe_volume=lambda *_: found,
            probe=lambda _: signatures.pop(0),
            require_blank=lambda *_: calls.append("blank"),
            ensure_program=lambda *names: calls.append(names),
            run=lambda argv, **_: calls.append(argv),
            mount=lambda *arguments: calls.append(arguments),
            mark=lambda *_: None,
        ):
            volume.ensure_volume("vol-1", "orders")
        return calls

    def test_a_blank_volume_becomes_xfs(self):
        device = "/dev/nvme1n1"
        self.assertEqual(
            self.ensure([{}, {"TYPE": "xfs", "UUID": "u"}]),
            ["blank", ("mkfs.xfs", "xfsprogs"), ["mkfs.xfs", "-q", "-K", device], (device, "u", "xfs")],
        )

    def test_an_existing_ext4_stays(self):
        self.assertEqual(self.ensure([{"TYPE": "ext4", "UUID": "u"}]), [("/dev/nvme1n1", "u", "ext4")])


if __name__ == "__main__":
    unittest.main()
