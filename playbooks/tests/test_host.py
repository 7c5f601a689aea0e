import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import clone, files, keys, layout, record, reload, sensitive, server, volume
from postgres_cluster.command import Problem
from postgres_cluster.psql import quote

ROOT = "/var/lib/postgresql-cluster"


class Fstab(unittest.TestCase):
    def test_one_line_for_the_mount_point(self):
        before = "# static\nUUID=root / ext4 defaults 0 1\nUUID=old %s ext4 defaults 0 2\n\n" % ROOT
        after = volume.edit_fstab(before, "new", "ext4")
        self.assertTrue(volume.has_fstab_entry(after, "new"))
        self.assertFalse(volume.has_fstab_entry(after, "old"))
        self.assertIn("# static\nUUID=root / ext4 defaults 0 1\n", after)
        self.assertIn(",nofail,", after)
        self.assertEqual(volume.edit_fstab(after, "new", "ext4"), after)

    def test_comments_do_not_count(self):
        self.assertFalse(volume.has_fstab_entry("#UUID=new %s ext4 defaults 0 2\n" % ROOT, "new"))


class Mounts(unittest.TestCase):
    def test_table(self):
        line = "36 35 %s %s %s rw,noatime shared:1 - ext4 /dev/nvme1n1 rw\n"
        for name, text, expected in [
            ("none", line % ("259:1", "/", "/"), None),
            ("mounted", line % ("259:1", "/", "/") + line % ("259:3", "/", ROOT), "259:3"),
            ("the last one counts", line % ("259:3", "/", ROOT) + line % ("259:4", "/", ROOT), "259:4"),
            ("part of another file system", line % ("259:3", "/data", ROOT), None),
            ("below it", line % ("259:3", "/", ROOT + "/data"), None),
        ]:
            with self.subTest(name):
                self.assertEqual(volume.find_mounted_device(text), expected)


class Keys(unittest.TestCase):
    def test_table(self):
        new, old = "ssh-ed25519 AAAAnew ci@new", "ssh-rsa AAAAold ci@old"
        for name, text, expected in [
            ("empty", "", new + "\n"),
            ("there", "ssh-ed25519 AAAAnew other comment\n", "ssh-ed25519 AAAAnew other comment\n"),
            ("rotated", old + "\n", new + "\n"),
            ("retired with options", 'no-pty,command="x y" ' + old + "\n" + new + "\n", new + "\n"),
            ("others stay", "ssh-ed25519 AAAAann ann\n", "ssh-ed25519 AAAAann ann\n" + new + "\n"),
            ("commented out", "# " + new + "\n", "# " + new + "\n" + new + "\n"),
        ]:
            with self.subTest(name):
                edited = keys.edit_keys(text, new, [old])
                self.assertEqual(edited, expected)
                self.assertEqual(keys.edit_keys(edited, new, [old]), edited)


class Files(unittest.TestCase):
    def test_write_text(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            owner = (os.getuid(), os.getgid())
            self.assertTrue(files.write_text(path, "one", 0o600, owner))
            self.assertFalse(files.write_text(path, "one", 0o600, owner))
            self.assertTrue(files.write_text(path, "one", 0o644, owner))
            self.assertTrue(files.write_text(path, "two", 0o644, owner))
            self.assertEqual(files.read_text(path), "two")
            self.assertEqual(os.listdir(folder), ["file"])

    def test_read_json(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            self.assertIsNone(files.read_json(path))
            files.write_text(path, "{", owner=(os.getuid(), os.getgid()))
            self.assertIsNone(files.read_json(path))


class Data(unittest.TestCase):
    """Which state an interruption leaves, and that a whole data directory is never deleted."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        root = self.folder.name
        places = {
            "ROOT": root,
            "DATA": root + "/data",
            "PARTIAL": root + "/data.partial",
            "OLD": root + "/data.old-",
            "RECORD": root + "/record.json",
        }
        for module in (record, clone):
            for name, value in places.items():
                patch = mock.patch.object(module, name, value)
                patch.start()
                self.addCleanup(patch.stop)

    def make(self, name, text=None):
        path = os.path.join(self.folder.name, name)
        os.makedirs(path if text is None else os.path.dirname(path), exist_ok=True)
        if text is not None:
            with open(path, "w") as file:
                file.write(text)

    def test_judge(self):
        self.assertEqual(record.judge_data(), "absent")
        self.make("data.partial")
        self.assertEqual(record.judge_data(), "partial")
        self.make("data")
        self.assertEqual(record.judge_data(), "unrecorded")
        self.make("record.json", "{}")
        self.assertEqual(record.judge_data(), "complete")

    def test_data_moved_aside_is_unfinished_work(self):
        self.make("data.old-20260101T000000Z")
        self.assertEqual(record.judge_data(), "partial")

    def test_put_in_place(self):
        self.make("data/global/pg_control", "x" * 8192)
        self.make("record.json", "{}")
        self.make("data.partial/new", "")
        clone.put_in_place()
        self.assertEqual(record.judge_data(), "unrecorded")
        self.assertEqual(os.listdir(self.folder.name + "/data"), ["new"])
        self.assertEqual(len(record.list_old_data()), 1)

    def test_put_in_place_of_a_torso(self):
        self.make("data/PG_VERSION", "17")
        self.make("data.partial/new", "")
        clone.put_in_place()
        self.assertEqual(record.list_old_data(), [])

    def test_a_former_primarys_data_is_kept(self):
        first, second, third = ["data.old-20260101T00000%dZ" % number for number in (1, 2, 3)]
        self.make(first + "/standby.signal", "")
        self.make(second + "/PG_VERSION", "17")
        self.make(third + "/standby.signal", "")
        self.make(third + "/" + layout.FORMER_PRIMARY, "")
        self.make("data.old-by-hand/standby.signal", "")
        discarded, notes = clone.discard_old_data()
        kept = [os.path.basename(path) for path in record.list_old_data()]
        self.assertEqual(kept, [second, third, "data.old-by-hand"])
        self.assertTrue(discarded)
        self.assertEqual(len(notes), 3)
        self.assertFalse(clone.discard_old_data()[0])


class Sensitive(unittest.TestCase):
    CONTROL = (
        "max_connections setting:              250\nmax_worker_processes setting:         8\n"
        "max_wal_senders setting:              40\nmax_prepared_xacts setting:           0\n"
        "max_locks_per_xact setting:           64\n"
    )
    CONF = "max_connections = '150'\nmax_prepared_transactions = '0'\nwork_mem = '8MB'\n"

    def test_too_low(self):
        control = sensitive.parse_control(self.CONTROL)
        self.assertEqual(control["max_connections"], 250)
        self.assertEqual(control["max_prepared_transactions"], 0)
        floor = sensitive.find_too_low(self.CONF, control)
        self.assertEqual(floor, {"max_connections": 250})
        raised = sensitive.raise_conf(self.CONF, floor)
        self.assertEqual(raised, self.CONF.replace("150", "250"))
        self.assertEqual(sensitive.find_too_low(raised, control), {})

    def test_not_knowing_is_not_enough(self):
        translated = self.CONTROL.replace("max_connections setting", "Einstellung von max_connections")
        with self.assertRaises(Problem):
            sensitive.parse_control(translated)


class Texts(unittest.TestCase):
    def test_passfile(self):
        self.assertEqual(server.render_passfile("a:b\\c"), "*:*:*:replicator:a\\:b\\\\c\n")

    def test_quote(self):
        for text, expected in [("a", "'a'"), ("o'b", "'o''b'"), ("a\\'", "E'a\\\\'''")]:
            self.assertEqual(quote(text), expected)

    def test_errors_of_restart_settings_are_not_the_reloads(self):
        # Trap 26.
        self.assertIn("<> 'postmaster'", reload.FIND_ERRORS)


class Blank(unittest.TestCase):
    def test_table(self):
        mib = volume.MIB
        for content, blank in [
            (bytes(3 * mib), True),
            (b"\0" * 100 + b"x" + bytes(3 * mib), False),
            (bytes(3 * mib) + b"x", False),
        ]:
            with tempfile.NamedTemporaryFile() as file:
                file.write(content)
                file.flush()
                if blank:
                    volume.require_blank(file.name, "vol-1")
                else:
                    with self.assertRaises(Problem):
                        volume.require_blank(file.name, "vol-1")


class Probe(unittest.TestCase):
    """blkid(8): 2 is "nothing found"; any other failure must not look like a blank volume (trap 27)."""

    def answer(self, code, stdout):
        result = mock.Mock(returncode=code, stdout=stdout, stderr="")
        return mock.patch.object(volume, "run", return_value=result)

    def test_table(self):
        for code, stdout, expected in [
            (2, "", {}),
            (0, "DEVNAME=/dev/x\nUUID=u\nTYPE=ext4\n", {"UUID": "u", "TYPE": "ext4"}),
            (0, "DEVNAME=/dev/x\nPTTYPE=gpt\n", {"PTTYPE": "gpt"}),
        ]:
            with self.subTest(stdout), self.answer(code, stdout):
                self.assertEqual(volume.probe("/dev/x"), expected)

    def test_ambivalent(self):
        with self.answer(8, ""), self.assertRaises(Problem):
            volume.probe("/dev/x")

    def test_a_volume_with_a_partition_table_is_left_alone(self):
        found = volume.Volume("/dev/x", None, None, False)
        with mock.patch.object(volume, "observe_volume", return_value=found), self.answer(
            0, "PTTYPE=gpt\n"
        ) as run, self.assertRaises(Problem):
            volume.ensure_volume("vol-1", "orders")
        self.assertEqual([call.args[0][0] for call in run.call_args_list], ["blkid"])


class Roles(unittest.TestCase):
    """Validation is switched off at run time (site.yml), so the specs are held against the defaults here."""

    def test_every_default_is_in_every_entry_point(self):
        import yaml

        roles = os.path.join(os.path.dirname(__file__), "..", "roles")
        for role in sorted(os.listdir(roles)):
            with open(os.path.join(roles, role, "defaults", "main.yml")) as file:
                defaults = set(yaml.safe_load(file))
            with open(os.path.join(roles, role, "meta", "argument_specs.yml")) as file:
                entry_points = yaml.safe_load(file)["argument_specs"]
            tasks = {name[: -len(".yml")] for name in os.listdir(os.path.join(roles, role, "tasks"))}
            # Part of other entry points.
            tasks -= {"primary_image"}
            self.assertEqual(set(entry_points), tasks)
            for name, entry_point in entry_points.items():
                with self.subTest(role=role, entry_point=name):
                    self.assertLessEqual(defaults, set(entry_point["options"]))
                    self.assertTrue(all(option.startswith(role + "_") for option in entry_point["options"]))


if __name__ == "__main__":
    unittest.main()
