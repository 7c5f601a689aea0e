import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import files, rehearsal
from postgres_cluster.command import Problem
from postgres_cluster.spec import Spec, leaves_work

SPEC = Spec("orders", "node-1", "postgres:17", [], None, None, "", "", step="record")
RECORD = {"ended": 1795740363, "restoredTo": 1795740000, "seconds": 840, "bytes": 24 * 1024**3, "commitAge": 41}


class Rehearsal(unittest.TestCase):
    """What a node remembers of a rehearsal."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name + "/rehearsal.json"

        def write(path, text):
            return files.write_text(path, text, 0o644, (os.getuid(), os.getgid()))

        names = {"REHEARSAL": self.path, "require_mounted": lambda cluster: None, "write_text": write}
        patch = mock.patch.multiple(rehearsal, **names)
        patch.start()
        self.addCleanup(patch.stop)

    def test_is_remembered_once(self):
        self.assertIsNone(rehearsal.observe_rehearsal())
        self.assertTrue(rehearsal.record(SPEC, RECORD).changed)
        self.assertFalse(rehearsal.record(SPEC, RECORD).changed)
        self.assertEqual(rehearsal.observe_rehearsal(), RECORD)

    def test_what_an_earlier_version_recorded_has_no_age_of_its_newest_commit(self):
        earlier = {name: value for name, value in RECORD.items() if name != "commitAge"}
        expected = {**earlier, "commitAge": None}
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(rehearsal.json.dumps(earlier))
        self.assertEqual(rehearsal.observe_rehearsal(), expected)
        self.assertTrue(rehearsal.record(SPEC, expected).changed)
        self.assertEqual(rehearsal.observe_rehearsal(), expected)

    def test_a_copy_goes_on(self):
        self.assertTrue(leaves_work("record"))

    def test_anything_else_is_none(self):
        changes = [("ended", None), ("ended", "1"), ("seconds", -1), ("bytes", 1.5), ("restoredTo", True), ("ended", 2**41), ("commitAge", -1), ("commitAge", "41")]
        for text in ["", "{}", "[]", "null", *(rehearsal.json.dumps({**RECORD, name: value}) for name, value in changes)]:
            with self.subTest(text):
                with open(self.path, "w", encoding="utf-8") as file:
                    file.write(text)
                self.assertIsNone(rehearsal.observe_rehearsal())
        with self.assertRaises(Problem) as caught:
            rehearsal.record(SPEC, {**RECORD, "bytes": "much"})
        self.assertIn("ended, restoredTo, seconds, bytes", caught.exception.message)


if __name__ == "__main__":
    unittest.main()
