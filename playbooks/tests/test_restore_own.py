import json
import os
import sys
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import repository, restore_own
from postgres_cluster.command import Problem
from postgres_cluster.restore_source import Choice, Source
from postgres_cluster.spec import Spec

SPEC = Spec("sales", "node-1", "postgres:17", [], None, None, "", "", "node-1", "10.42.0.11", step="restore")
SOURCE = Source("acme", "/orders", "orders")
CHOICE = Choice("20261127-004601F", "17", 2**30, "000000010000000000000006", 1795740363, False, [], "77")
READS = "[global]\nrepo1-path=/orders\nrepo1-s3-bucket=acme\nrepo1-s3-endpoint=s3.eu-west-1.amazonaws.com\n"
KEY = "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=%s\n"
OWN = READS.replace("/orders", "/sales") + KEY % ("k" * 40)
DENIED = "ERROR: [039]: HTTP request failed with 403 (Forbidden)"
BACKUP = {
    "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000003"},
    "database": {"id": 1, "repo-key": 1},
    "error": False,
    "info": {"repository": {"delta": 100}, "size": 1000},
    "label": "20261126-023001F",
    "lsn": {"start": "0/2000028", "stop": "0/3000050"},
    "timestamp": {"start": 1795653960, "stop": 1795653963},
    "type": "full",
}


def describe(system=77, code=0, message="ok", backups=(), newest=None):
    """What `pgbackrest info` says of the stanza of the cluster."""
    archive = [{"database": {"id": 1, "repo-key": 1}, "min": newest, "max": newest}] if newest else []
    db = [] if system is None else [{"id": 1, "repo-key": 1, "system-id": system, "version": "17"}]
    status = {"code": code, "message": message}
    stanza = {"name": "sales", "backup": list(backups), "archive": archive, "db": db, "status": status}
    return json.dumps([{**stanza, "repo": [{"key": 1, "status": status}]}])


class Own(unittest.TestCase):
    """What a restore would only find at its end is found before it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name + "/own.conf"
        self.now, self.known_after, self.asked = 0, 0, 0
        self.answer = describe(None, 1, "missing stanza path")

        def write(path, text, mode):
            self.assertEqual((path, mode), (self.path, 0o600))
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

        for module, patches in [
            (restore_own, {"restore_folder": lambda: folder.name, "write_text": write}),
            (restore_own, {"time": SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)}),
            (repository, {"run": self.run_program}),
        ]:
            patch = mock.patch.multiple(module, **patches)
            patch.start()
            self.addCleanup(patch.stop)

    def sleep(self, seconds):
        self.now += seconds

    def run_program(self, argv, **_):
        with open(self.path, encoding="utf-8") as file:
            self.assertEqual(file.read(), OWN)
        self.assertEqual((argv[1], argv[2], argv[-1]), ("--config=" + self.path, "--stanza=sales", "info"))
        self.assertNotIn("k" * 40, " ".join(argv))
        self.asked += 1
        if self.now < self.known_after:
            return SimpleNamespace(returncode=39, stdout="", stderr=DENIED)
        return SimpleNamespace(returncode=0, stdout=self.answer, stderr="")

    def require(self, own=OWN):
        try:
            restore_own.require_own_repository(SPEC, SOURCE, CHOICE, READS, own)
        finally:
            self.assertFalse(os.path.exists(self.path), "the key stays in no file")

    def refuse(self, answer, *parts):
        self.answer = answer
        with self.assertRaises(Problem) as caught:
            self.require()
        message = caught.exception.message
        for part in ("nothing was restored, because s3://acme/sales, where sales is to archive, ", *parts):
            self.assertIn(part, message)
        return message

    def test_an_empty_place_is_free(self):
        self.require()
        self.assertEqual(self.asked, 1)

    def test_without_backups_and_in_the_place_of_the_source_nothing_is_asked(self):
        self.require("")
        self.require(READS + "repo1-bundle=y\n")
        self.assertEqual(self.asked, 0)

    def test_the_place_of_the_source_keeps_its_cipher_and_key(self):
        for own in (READS + KEY % ("k" * 40), READS + KEY % ("j" * 40)):
            with self.subTest(own), self.assertRaises(Problem) as caught:
                restore_own.require_own_repository(SPEC, SOURCE, CHOICE, READS + KEY % ("i" * 40), own)
            self.assertIn("another cipher or another key", caught.exception.message)
        self.assertEqual(self.asked, 0)

    def test_another_cluster_is_refused_with_what_was_found(self):
        said = self.refuse(describe(88, backups=[BACKUP], newest="000000010000000000000009"))
        self.assertEqual(
            said,
            "nothing was restored, because s3://acme/sales, where sales is to archive, holds the backups of another database "
            "cluster (system identifier 88, backups: 1, the newest of 2026-11-26 00:46:03 UTC; that of s3://acme/orders has 77), "
            "which are not overwritten. Choose another `backup.prefix` or cluster name",
        )
        self.refuse(describe(88), "system identifier 88, backups: 0;")

    def test_what_the_same_database_has_archived_is_refused(self):
        for answer in (describe(backups=[BACKUP]), describe(newest="000000020000000000000009")):
            self.refuse(answer, "of this same database or of an earlier restore", "name that place in `restore.from`")

    def test_the_stanza_of_a_run_that_was_cut_is_free(self):
        self.answer = describe(77, 2, "no valid backups")
        self.require()

    def test_what_cannot_be_read_is_refused_with_the_reason(self):
        for answer, part in [
            (describe(None, 3, "missing stanza data"), "cannot be used: /sales in bucket acme holds only a part"),
            (describe(None, 99, "[FileReadError] <Code>NoSuchBucket</Code>"), "cannot be read: bucket acme does not exist"),
            (describe(None, 99, "[CryptoError] cipher header invalid"), "cannot be read: /sales in bucket acme is not encrypted"),
            ("", "cannot be read: pgBackRest said nothing"),
        ]:
            with self.subTest(part):
                self.refuse(answer, part)
        self.assertEqual(self.now, 0, "waiting helps none of these")

    def test_a_new_role_is_waited_for(self):
        self.known_after = 20
        self.require()
        self.assertEqual((self.now, self.asked), (20, 5))

    def test_a_role_without_access_is_refused_in_the_end(self):
        for answer, known_after in [(self.answer, 1000), (describe(None, 99, DENIED), 0)]:
            self.now, self.known_after = 0, known_after
            self.refuse(answer, "cannot be read: access to /sales in bucket acme is denied")
            self.assertEqual(self.now, restore_own.NEW_ROLE_SECONDS)


if __name__ == "__main__":
    unittest.main()
