import contextlib
import os
import sys
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import archive, spec, spool
from postgres_cluster.command import Problem
from postgres_cluster.spec import Spec

CONF = "[global]\nrepo1-s3-bucket=acme\nrepo1-path=/orders\n"
MOVED = "[global]\nrepo1-s3-bucket=acme\nrepo1-path=/elsewhere/orders\n"
SCHEDULE = '{"time":"02:30","fullOn":"sunday"}\n'
EMPTY = {"problem": None, "backups": []}


class Archive(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.etc = stack.enter_context(tempfile.TemporaryDirectory())
        self.record, self.repository = {"digest": "x"}, EMPTY
        self.found = {
            "State": {"Running": True, "Restarting": False},
            "Mounts": [{"Destination": "/opt/pgbackrest"}],
        }
        self.result = SimpleNamespace(returncode=0, stdout="", stderr="")
        self.done = []
        self.now = 0
        values = {
            "ETC": self.etc,
            "TOOLS": "/opt/pgbackrest",
            "read_record": lambda: self.record,
            "inspect_container": lambda _: self.found,
            "run": self.run_program,
            "read_repository": self.read_repository,
            "ensure_image": lambda reference: (SimpleNamespace(owner=(999, 999)), False),
            "note_dropped": lambda names: self.done.append("gap"),
            "forget_pushed": lambda: self.done.append("forget"),
            "reopen_histories": lambda: self.done.append("histories"),
            "time": SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep),
        }
        stack.enter_context(mock.patch.multiple(archive, **values))
        exists = os.path.exists
        stack.enter_context(mock.patch("os.path.exists", lambda path: path == "/opt/pgbackrest/pgbackrest" or exists(path)))
        for name in ("os.fchown", "os.chown"):
            stack.enter_context(mock.patch(name, lambda *_: None))

    def run_program(self, argv, **_):
        self.assertEqual([*argv[:3], *argv[4:6]], ["docker", "exec", "-e", "postgres-orders", "/opt/pgbackrest/pgbackrest"])
        self.assertIn("search_path=pg_catalog", argv[3])
        self.assertIn("--config=/etc/postgresql-cluster/pgbackrest.conf.next", argv)
        self.assertEqual(self.read("pgbackrest.conf.next"), self.wanted)
        self.done.append(argv[-1])
        return self.result

    def sleep(self, seconds):
        self.now += seconds
        if self.now >= self.known_after:
            self.result = SimpleNamespace(returncode=0, stdout="", stderr="")

    known_after = float("inf")

    def read_repository(self, cluster, path):
        self.assertEqual(path, self.etc + "/pgbackrest.conf.next")
        return self.repository

    def read(self, name):
        try:
            with open("%s/%s" % (self.etc, name)) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def archive(self, conf=CONF, node="node-1"):
        self.wanted, self.done = conf, []
        step = Spec("orders", node, "postgres:17", [], None, None, "", "", "node-1", step="archive")
        return archive.archive(step, conf, SCHEDULE if conf else "").changed

    def test_the_primary_creates_the_archive_before_it_uses_it(self):
        with mock.patch.object(self, "run_program", wraps=self.run_program):
            self.assertTrue(self.archive())
        self.assertEqual(self.done, ["stanza-create", "forget", "histories"])
        self.assertEqual((self.read("pgbackrest.conf"), self.read("backup.json")), (CONF, SCHEDULE))
        self.assertEqual(sorted(os.listdir(self.etc)), ["backup.json", "pgbackrest.conf"])

    def test_a_second_time_changes_nothing(self):
        self.archive()
        self.assertFalse(self.archive())
        self.assertEqual(self.done, ["stanza-create", "histories"])

    def test_a_replica_gets_the_files_only(self):
        self.assertTrue(self.archive(node="node-2"))
        self.assertEqual((self.read("pgbackrest.conf"), self.done), (CONF, ["forget"]))

    def test_another_key_or_cipher_of_a_repository_is_refused_before_anything_is_written(self):
        first, second = (CONF + "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=%s\n" % (key * 32) for key in "ab")
        for before, after in [(first, second), (CONF, first), (first, CONF)]:
            self.archive("")
            self.archive(before)
            with self.assertRaises(Problem) as caught:
                self.archive(after)
            self.assertEqual(caught.exception.message.count("another `backup.prefix`, where a new repository begins"), 1)
            self.assertEqual((self.read("pgbackrest.conf"), self.done), (before, []))
        # Elsewhere another repository begins.
        self.archive(first)
        moved = second.replace("/orders", "/elsewhere/orders")
        self.assertTrue(self.archive(moved))
        self.assertEqual(self.read("pgbackrest.conf"), moved)

    def test_only_postgresql_reads_the_key(self):
        with mock.patch("os.fchown") as chown:
            self.archive(CONF + "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=%s\n" % ("a" * 32))
        self.assertEqual(os.stat(self.etc + "/pgbackrest.conf").st_mode & 0o7777, 0o600)
        # The file of the stanza's creation, the schedule, and the file itself.
        self.assertEqual([call.args[1:] for call in chown.call_args_list], [(999, 999), (0, 0), (999, 999)])

    def test_a_failure_leaves_the_earlier_archive_in_use(self):
        self.archive()
        self.result = SimpleNamespace(returncode=39, stdout="", stderr="ERROR: [039]: HTTP request failed with 403 (Forbidden):\n")
        with self.assertRaises(Problem) as caught:
            self.archive(MOVED)
        self.assertTrue(
            caught.exception.message.startswith(
                "node-1 cannot archive into bucket acme: access to /elsewhere/orders in bucket acme is denied. Check"
            ),
            caught.exception.message,
        )
        self.assertEqual((self.read("pgbackrest.conf"), set(self.done)), (CONF, {"stanza-create"}))
        self.assertEqual(sorted(os.listdir(self.etc)), ["backup.json", "pgbackrest.conf"])

    def test_a_new_role_is_waited_for(self):
        self.result = SimpleNamespace(returncode=39, stdout="", stderr="ERROR: [039]: HTTP request failed with 403 (Forbidden):\n")
        self.known_after = 20
        self.assertTrue(self.archive())
        self.assertEqual(self.now, 20)
        self.assertEqual(self.read("pgbackrest.conf"), CONF)

    def test_nothing_else_is_waited_for(self):
        self.result = SimpleNamespace(returncode=39, stdout="", stderr="<Code>NoSuchBucket</Code>")
        with self.assertRaises(Problem):
            self.archive()
        self.assertEqual(self.now, 0)

    def test_without_backups_both_files_are_removed(self):
        self.archive()
        self.assertTrue(self.archive(""))
        self.assertEqual((os.listdir(self.etc), self.done), ([], ["forget"]))
        self.assertFalse(self.archive(""))

    def test_another_repository_gets_all_wal(self):
        # What the spool says about pushed files is about the earlier one.
        self.archive()
        self.assertTrue(self.archive(MOVED))
        self.assertEqual(self.done, ["stanza-create", "forget", "histories"])
        self.assertTrue(self.archive(MOVED + "repo1-retention-full=30\n"))
        self.assertEqual(self.done, ["stanza-create", "histories"])

    def test_an_archive_that_is_taken_up_again_has_a_gap(self):
        self.repository = {"problem": None, "backups": [{"label": "20261127-004847F"}]}
        self.archive()
        self.assertEqual(self.done, ["stanza-create", "gap", "forget", "histories"])
        self.archive(CONF + "repo1-retention-full=30\n")
        self.assertEqual(self.done, ["stanza-create", "histories"])

    def test_what_is_not_ready_is_said(self):
        def stop():
            self.found = None

        for change, words in [
            (lambda: self.found.update(Mounts=[]), "was made by an earlier version"),
            (stop, "PostgreSQL on node-1 does not run"),
            (lambda: setattr(self, "record", None), "node-1 has no complete data"),
        ]:
            change()
            with self.assertRaises(Problem) as caught:
                self.archive()
            self.assertIn(words, caught.exception.message)
            self.assertEqual(os.listdir(self.etc), [])

    def test_a_copy_that_runs_goes_on(self):
        self.assertTrue(spec.leaves_work("archive"))


class Spool(unittest.TestCase):
    def test_only_what_pgbackrest_notes_is_forgotten(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(spool, "SPOOL", folder):
            os.makedirs(folder + "/archive/orders/out")
            for name in ("dropped", "archive/orders/out/000000010000000000000001.ok"):
                open("%s/%s" % (folder, name), "w").close()
            spool.forget_pushed()
            spool.forget_pushed()
            self.assertEqual(os.listdir(folder), ["dropped"])


if __name__ == "__main__":
    unittest.main()
