import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import discard, layout, record, storage
from postgres_cluster.command import Problem

NAME = "data.old-20260101T000000Z"


class Discard(unittest.TestCase):
    """Only what is named and lies on the volume is deleted, and never a primary's data."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = self.folder.name + "/volume"
        os.mkdir(self.root)
        places = {
            "ROOT": self.root,
            "DATA": self.root + "/data",
            "OLD": self.root + "/data.old-",
            "PARTIAL": self.root + "/data.partial",
            "DELETED": self.root + "/data.deleted-",
            "RECORD": self.root + "/record.json",
        }
        self.steps = []
        self.role = None
        self.follows = False
        self.accepting = False
        self.up = False
        does = lambda what: lambda *_: self.steps.append(what)  # noqa: E731
        doubles = {
            "require_mounted": lambda _: None,
            "is_installed": lambda: True,
            "stop_server": does("stop"),
            "name_aside": lambda _: "aside",
            "remove_container": lambda name: self.steps.append("remove " + name),
            "read_role": lambda _: self.role,
            "read_replication": lambda _: {},
            "is_following": lambda *_: self.follows,
            "is_accepting": lambda: self.accepting,
            "inspect_container": lambda _: None,
            "is_up": lambda _: self.up,
        }
        for module in (discard, record):
            for name, value in places.items():
                if hasattr(module, name):
                    self.patch(module, name, value)
        for name, value in doubles.items():
            self.patch(discard, name, value)
        self.patch(discard, "raise_fence", does("fence"))

    def patch(self, module, name, value):
        patch = mock.patch.object(module, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def make(self, name, text=""):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def run_step(self, *names, data=False):
        spec = mock.Mock(cluster="orders", node="node-2", primary="node-1", is_primary=False, container="server")
        return discard.discard(spec, list(names), data)

    def list(self):
        return sorted(os.listdir(self.root))

    def test_named_directories_are_deleted_and_others_are_kept(self):
        for name in (NAME, "data.old-by-hand", "data"):
            self.make(name + "/base/1")
        self.assertTrue(self.run_step(NAME).changed)
        self.assertEqual(self.list(), ["data", "data.old-by-hand"])
        # A name that is gone is no error: an earlier run deleted it.
        self.assertFalse(self.run_step(NAME).changed)
        self.assertEqual(self.steps, [])

    def test_names_that_are_not_kept_directories_are_refused(self):
        self.make("data/base/1")
        outside = self.folder.name + "/outside"
        os.mkdir(outside)
        for name in (
            "data",
            "data.old-",
            "data.old-/../data",
            "data.old-x/../../outside",
            "../outside",
            outside,
            "data.old-x\n",
            "data.old-" + "x" * 101,
            "data.deleted-x",
            "",
        ):
            with self.subTest(name), self.assertRaises(Problem):
                self.run_step(NAME, name)
        self.assertEqual(self.list(), ["data"])
        self.assertTrue(os.path.isdir(outside))

    def test_links_and_files_are_refused_before_anything_is_deleted(self):
        outside = self.folder.name + "/outside"
        os.mkdir(outside)
        self.make(NAME + "/base/1")
        os.symlink(outside, self.root + "/data.old-link")
        self.make("data.old-file")
        for name in ("data.old-link", "data.old-file"):
            with self.subTest(name), self.assertRaisesRegex(Problem, "nothing was deleted"):
                self.run_step(NAME, name)
        self.assertEqual(self.list(), ["data.old-20260101T000000Z", "data.old-file", "data.old-link"])
        self.assertTrue(os.path.isdir(outside))

    def test_links_inside_are_not_followed(self):
        self.make(NAME + "/base/1")
        target = self.make("data/base/1")
        os.symlink(os.path.dirname(target), os.path.join(self.root, NAME, "pg_wal"))
        self.run_step(NAME)
        self.assertEqual(self.list(), ["data"])
        self.assertTrue(os.path.exists(target))

    def test_an_interrupted_deletion_is_finished_and_never_counts_as_data(self):
        self.make(NAME + "/base/1")
        with mock.patch.object(discard.shutil, "rmtree", side_effect=OSError("I/O error")), self.assertRaisesRegex(
            Problem, "could not be deleted whole"
        ):
            self.run_step(NAME)
        self.assertEqual(self.list(), ["data.deleted-" + NAME])
        self.assertEqual(record.judge_data(), "absent")
        self.assertEqual(record.list_old_data(), [])
        self.assertTrue(self.run_step().changed)
        self.assertEqual(self.list(), [])

    def test_data_is_deleted_after_its_server_is_gone(self):
        self.make("data/base/1")
        self.make("record.json", "{}")
        self.make(NAME + "/base/1")
        self.assertTrue(self.run_step(NAME, data=True).changed)
        self.assertEqual(self.list(), [])
        self.assertEqual(self.steps, ["fence", "stop", "remove aside", "remove server"])

    def test_interrupted_data_is_never_complete_again(self):
        self.make("data/base/1")
        self.make("record.json", "{}")
        with mock.patch.object(discard.os, "rename", side_effect=OSError("I/O error")), self.assertRaises(OSError):
            self.run_step(data=True)
        self.assertEqual(record.judge_data(), "unrecorded")
        self.assertEqual(self.steps[0], "fence")

    def test_data_that_is_in_use_is_kept(self):
        for name, state, message in [
            ("a primary", {"role": "primary"}, "is the primary"),
            ("a replica that follows", {"role": "replica", "follows": True}, "follows node-1 by now"),
            ("a server that nobody knows", {"accepting": True}, "still answers on node-2"),
            ("a server without a free connection", {"up": True, "accepting": True}, "accepts no connection"),
        ]:
            with self.subTest(name):
                self.role, self.follows, self.accepting, self.up = None, False, False, False
                self.steps.clear()
                for key, value in state.items():
                    setattr(self, key, value)
                self.make("data/base/1")
                self.make("record.json", "{}")
                with self.assertRaisesRegex(Problem, message):
                    self.run_step(data=True)
                self.assertEqual(record.judge_data(), "complete")
                self.assertEqual("stop" in self.steps, name == "a server that nobody knows")

    def test_the_prefix_is_no_kept_directory(self):
        self.assertFalse(os.path.basename(discard.DELETED).startswith(os.path.basename(layout.OLD)))

    def test_only_what_can_be_discarded_is_reported(self):
        self.make(NAME + "/base/1", "x" * 5000)
        self.make("data.old-my copy/base/1")
        self.make("data.old-\u00e9/base/1")
        self.make("data.old-file")
        os.symlink(self.folder.name, self.root + "/data.old-link")
        with mock.patch.object(storage, "OLD", self.root + "/data.old-"), mock.patch.object(storage, "ROOT", self.root):
            kept = storage.observe_storage()["kept"]
        self.assertEqual([one["name"] for one in kept], [NAME])
        self.assertGreaterEqual(kept[0]["bytes"], 5000)
        self.assertTrue(kept[0]["formerPrimary"])


if __name__ == "__main__":
    unittest.main()
