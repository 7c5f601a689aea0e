import os
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import archive_inherit, archive_push, archive_status, archive_stop, archive_wait, archiver, restore_branch
from postgres_cluster.archive_status import Segment
from postgres_cluster.command import Problem

MIB = 1024 * 1024


def name(number, timeline=1):
    return "%08X%08X%08X" % (timeline, 0, number)


class Data(unittest.TestCase):
    """A data directory with WAL, and a spool."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = folder.name
        for path in ("/pg_wal", "/pg_wal/archive_status", "/etc", "/spool"):
            os.mkdir(self.data + path)
        for module, names in [
            (archive_status, {"DATA": self.data, "ETC": self.data + "/etc"}),
            (archive_push, {"ETC": self.data + "/etc", "SPOOL": self.data + "/spool"}),
            (archive_wait, {"SPOOL": self.data + "/spool", "ETC": self.data + "/etc"}),
            (archive_inherit, {"DATA": self.data, "ETC": self.data + "/etc"}),
            (restore_branch, {"DATA": self.data}),
        ]:
            patch = mock.patch.multiple(module, **names)
            patch.start()
            self.addCleanup(patch.stop)

    def write(self, path, text=""):
        with open("%s/%s" % (self.data, path), "w", encoding="utf-8") as file:
            file.write(text)

    def add(self, wal, status=None, size=16 * MIB):
        with open("%s/pg_wal/%s" % (self.data, wal), "wb") as file:
            file.truncate(size)
        if status is not None:
            self.write("pg_wal/archive_status/%s.%s" % (wal, status))

    def configure(self, text=""):
        self.write("etc/pgbackrest.conf", text)

    def list_status(self, suffix):
        names = sorted(os.listdir(self.data + "/pg_wal/archive_status"))
        return [entry[: -len(suffix)] for entry in names if entry.endswith(suffix)]


class Status(Data):
    def test_names_of_segments(self):
        for size, number, expected in [
            (16 * MIB, 3, "000000020000000000000003"),
            (16 * MIB, 256, "000000020000000100000000"),
            (1024 * MIB, 7, "000000020000000100000003"),
        ]:
            self.assertEqual(Segment(2, number).format(size), expected)
            self.assertEqual(archive_status.parse_segment(expected, size), Segment(2, number))

    def test_the_first_segment_that_waits(self):
        self.assertIsNone(archive_status.find_first_waiting())
        self.write("pg_wal/archive_status/00000002.history.ready")
        self.write("pg_wal/archive_status/%s.00000028.backup.ready" % name(1))
        self.assertIsNone(archive_status.find_first_waiting())
        self.add(name(5), "ready")
        self.add(name(4), "ready")
        self.add(name(3), "done")
        self.assertEqual(archive_status.find_first_waiting(), name(4))

    def test_a_new_primary_archives_from_the_first_segment_that_the_old_one_did_not(self):
        self.configure("archive-push-queue-max=16MiB\n")
        for number in range(1, 6):
            self.add(name(number), "done")
        # Received in part, and recycled for later: neither has a status.
        self.add(name(6))
        self.add(name(7))
        self.assertEqual(archive_status.reopen(name(3)), [name(3), name(4), name(5)])
        self.assertEqual(self.list_status(".ready"), [name(3), name(4), name(5)])
        self.assertEqual(self.list_status(".done"), [name(1), name(2)])
        self.assertEqual(archive_status.reopen(name(3)), [])

    def test_what_is_archived_again_waits_from_now_on(self):
        self.configure("archive-push-queue-max=16MiB\n")
        self.add(name(1), "done")
        path = self.data + "/pg_wal/archive_status/%s.%s"
        os.utime(path % (name(1), "done"), (0, 0))
        archive_status.reopen(name(1))
        self.assertGreater(os.stat(path % (name(1), "ready")).st_mtime, 0)

    def test_the_histories_of_all_timelines_are_archived(self):
        # The third timeline began in a restore, where nothing is archived.
        self.add("00000002.history", "done", 50)
        self.add("00000003.history")
        self.add(name(3), "done")
        for _ in range(2):
            archive_status.reopen_histories()
            self.assertEqual(self.list_status(".ready"), ["00000002.history", "00000003.history"])
            self.assertEqual(self.list_status(".done"), [name(3)])

    def test_without_that_knowledge_it_archives_the_latest_that_do_not_fill_the_queue(self):
        for number in range(1, 9):
            self.add(name(number, 1 if number < 5 else 2), "done")
        self.add("00000002.history", "done", 50)
        # Its segment was removed.
        self.write("pg_wal/archive_status/%s.done" % name(9, 2))
        for queue, expected in [("100MiB", [name(6, 2), name(7, 2), name(8, 2)]), (None, None)]:
            with self.subTest(queue):
                self.configure("repo1-type=s3\n" + ("archive-push-queue-max=%s\n" % queue if queue else ""))
                chosen = archive_status.reopen()
                if expected is not None:
                    self.assertEqual(chosen, ["00000002.history", *expected])
        self.assertEqual(self.list_status(".done"), [name(9, 2)])

    def test_reads_the_queue_in_pgbackrests_units(self):
        for text, expected in [
            ("[global]\narchive-push-queue-max=5GiB\nx=1\n", 5 * 2**30),
            ("archive-push-queue-max=1024MB\n", 2**30),
            ("archive-push-queue-max=10G\n", 10 * 2**30),
            ("archive-push-queue-max=4096\n", 4096),
            ("process-max=2\n", None),
        ]:
            self.configure(text)
            self.assertEqual(archive_status.read_queue_bytes(), expected)


class Wait(Data):
    def setUp(self):
        super().setUp()
        self.now = 0.0
        self.events = {}
        clock = mock.Mock(monotonic=lambda: self.now, sleep=self.sleep)
        patch = mock.patch.object(archive_wait, "time", clock)
        patch.start()
        self.addCleanup(patch.stop)

    def sleep(self, _):
        self.now += 10
        self.events.pop(self.now, lambda: None)()

    def archive(self, wal):
        status = "%s/pg_wal/archive_status/%s" % (self.data, wal)
        os.rename(status + ".ready", status + ".done")

    def test_waits_while_earlier_files_are_archived(self):
        for number in range(1, 6):
            self.add(name(number), "ready")
            self.events[number * 80.0] = lambda number=number: self.archive(name(number))
        # What is written meanwhile does not count.
        self.events[90.0] = lambda: self.add(name(6), "ready")
        self.assertTrue(archive_wait.wait_until_archived(name(5)))
        self.assertEqual(self.now, 400)

    def test_gives_up_once_nothing_is_archived_any_more(self):
        for wal in (name(1), name(2), "00000002.history"):
            self.add(wal, "ready")
        self.events[60.0] = lambda: self.archive("00000002.history")
        # Later ones, and others that come to wait, are no progress.
        self.add(name(3), "ready")
        self.events[100.0] = lambda: self.archive(name(3))
        self.assertFalse(archive_wait.wait_until_archived(name(2)))
        self.assertEqual(self.now, 160)

    def test_a_segment_without_any_status_is_not_archived(self):
        # archive_mode is off.
        self.add(name(2))
        self.assertFalse(archive_wait.wait_until_archived(name(2)))
        # Archived and removed since.
        self.assertTrue(archive_wait.wait_until_archived(name(1)))

    def test_completes_the_segment_that_holds_the_end(self):
        for lsn, size, expected in [
            ("0/3000148", 16 * MIB, name(3, 2)),
            # Nothing was written since the last switch: the beginning of the segment in use.
            ("0/3000000", 16 * MIB, name(2, 2)),
            ("1/40000000", 1024 * MIB, "000000020000000100000000"),
        ]:
            session = mock.Mock(ask=lambda _, lsn=lsn, size=size: {"timeline": 2, "size": size, "lsn": lsn})
            self.assertEqual(archive_wait.switch_segment(session), expected)

    def test_a_switchover_goes_on_without_an_archive(self):
        spec = mock.Mock(cluster="main", container="postgres-main")
        session = mock.Mock(ask=lambda _: {"timeline": 1, "size": 16 * MIB, "lsn": "0/3000148"})
        self.assertEqual(archive_wait.empty_queue(mock.Mock(side_effect=AssertionError), spec), [])
        self.configure()
        self.add(name(3), "ready")
        with mock.patch.object(archive_wait, "read_log", lambda container, lines: ""):
            (note,) = archive_wait.empty_queue(session, spec)
        self.assertRegex(note, "^%s is not in the archive.* for 30 s .1 files wait.: .*The switchover went on" % name(3))
        self.archive(name(3))
        self.assertEqual(archive_wait.empty_queue(session, spec), [])


class Words(Data):
    def test_pgbackrests_own_words(self):
        os.makedirs(self.data + "/spool/archive/main/out")
        self.add(name(3), "ready")
        log = "LOG:  x\n2026-11-27 P00  ERROR: [103]: unable to find a valid repository:\nLOG:  y\n"
        with mock.patch.object(archive_wait, "read_log", lambda container, lines: log):
            said = lambda: archive_wait.read_push_error("main", "postgres-main")  # noqa: E731
            self.assertEqual(said(), "ERROR: [103]: unable to find a valid repository")
            self.assertIn("did not take the file within 60 s", archive_wait.explain_push(82, "x asynchronously after 60 second(s)"))
            self.write("spool/archive/main/out/global.error", "103\nunable to find\na valid repository\nHINT: x\n")
            self.assertEqual(said(), "unable to find a valid repository")
            self.write("spool/archive/main/out/%s.error" % name(3), "45\nWAL file exists with a different checksum")
            self.assertEqual(said(), "WAL file exists with a different checksum")
            # The container's user may put links there.
            os.unlink("%s/spool/archive/main/out/%s.error" % (self.data, name(3)))
            self.write("secret", "1\nsecret\n")
            os.symlink(self.data + "/secret", "%s/spool/archive/main/out/%s.error" % (self.data, name(3)))
            self.assertEqual(said(), "unable to find a valid repository")

    def test_a_known_error_is_explained(self):
        self.configure("repo1-s3-bucket=things\n")
        self.assertRegex(archive_wait.explain_push(0, "[503] <Code>NoSuchBucket</Code>"), "^bucket things does not exist")

    def test_one_line_without_headers(self):
        text = (
            "HTTP request failed with 403 (Forbidden):\n*** Path/Query ***:\nGET /b?x\n*** Request Headers ***:\n"
            "authorization: <redacted>\n*** Response Content ***:\n<Error><Code>AccessDenied</Code></Error>"
        )
        self.assertEqual(archive_wait.shorten(text), "HTTP request failed with 403 (Forbidden) (AccessDenied)")
        self.assertEqual(len(archive_wait.shorten("x" * 9999)), archive_wait.MAX_ERROR)


class Inherit(Data):
    def setUp(self):
        super().setUp()
        self.repository = {}
        patch = mock.patch.object(archive_inherit, "run", self.run_pgbackrest)
        patch.start()
        self.addCleanup(patch.stop)

    def run_pgbackrest(self, words, **_):
        self.assertEqual(words[1], "--config=%s/etc/pgbackrest.conf" % self.data)
        found = self.repository.get(words[-1])
        if found is None:
            raise Problem("it did not end within 10 s")
        return mock.Mock(returncode=0, stdout="".join(entry + "\n" for entry in found))

    def promote(self):
        self.write("pg_wal/00000002.history", "1\t0/6000148\tno recovery target specified\n")
        self.add(name(6, 2))

    def test_does_nothing_without_backups(self):
        self.add(name(3), "done")
        self.assertIsNone(archive_inherit.inherit_told(name(3), None))
        self.assertIsNone(archive_inherit.inherit_unknown())
        self.assertEqual(archive_inherit.settle_inheritance(None, "main"), [])
        self.assertEqual(self.list_status(".done"), [name(3)])

    def test_a_switchover_leaves_no_gap(self):
        self.configure()
        for number in range(2, 6):
            self.add(name(number), "done")
        inherited = archive_inherit.inherit_told(name(4), None)
        self.promote()
        self.assertEqual(self.list_status(".ready"), [name(4), name(5)])
        self.assertEqual(archive_inherit.settle_inheritance(inherited, "main"), [])
        self.assertIsNone(archive_push.read_dropped())

    def test_a_switchover_without_anything_to_archive(self):
        self.configure()
        self.add(name(5), "done")
        inherited = archive_inherit.inherit_told(None, None)
        self.promote()
        self.assertEqual(self.list_status(".ready"), [])
        self.assertEqual(archive_inherit.settle_inheritance(inherited, "main"), [])

    def test_notes_what_the_new_primary_does_not_have_any_more(self):
        self.configure()
        self.add(name(4), "done")
        self.add(name(5), "done")
        inherited = archive_inherit.inherit_told(name(2), None)
        self.promote()
        # It may have been archived by now.
        os.unlink("%s/pg_wal/archive_status/%s.ready" % (self.data, name(4)))
        (note,) = archive_inherit.settle_inheritance(inherited, "main")
        self.assertRegex(note, "lacks the WAL from %s to %s.*until the next full backup, which is due" % (name(2), name(3)))
        self.assertEqual(archive_push.read_dropped()["files"], 2)

    def test_a_gap_of_the_old_primary_is_one_of_the_new_one(self):
        self.configure()
        self.write("spool/dropped", "5 stale\n6 stale\n")
        for last in (name(4), None):
            archive_inherit.inherit_told(None, {"files": 3, "since": 100, "last": last})
            self.assertEqual(archive_push.read_dropped(), {"files": 3, "since": 100, "last": last})
        archive_inherit.inherit_told(None, None)
        self.assertIsNone(archive_push.read_dropped())

    def test_a_failover_asks_the_archive_for_what_comes_before(self):
        for answers, expected in [
            ({"archive/main": ["16-1", "17-2", "archive.info"], "archive/main/17-2/" + name(2)[:16]: [name(2) + "-5f.zst"]}, 0),
            ({"archive/main": ["17-2"], "archive/main/17-2/" + name(2)[:16]: []}, 1),
            ({"archive/main": []}, 1),
            ({}, 1),
        ]:
            with self.subTest(answers):
                self.setUp()
                self.configure()
                self.repository = answers
                for number in range(3, 6):
                    self.add(name(number), "done")
                inherited = archive_inherit.inherit_unknown()
                self.assertEqual(self.list_status(".ready"), [name(3), name(4), name(5)])
                self.promote()
                notes = archive_inherit.settle_inheritance(inherited, "main")
                self.assertEqual(len(notes), expected)
                self.assertEqual(archive_push.read_dropped() is None, expected == 0)

    def test_a_failover_that_is_cut_after_its_promotion_leaves_a_note(self):
        self.configure()
        self.add(name(5), "done")
        archive_inherit.inherit_unknown()
        self.assertEqual(archive_push.read_dropped()["files"], 1)

    def test_a_failover_of_a_node_with_nothing_but_the_end(self):
        self.configure()
        inherited = archive_inherit.inherit_unknown()
        self.promote()
        self.repository = {"archive/main": ["17-1"], "archive/main/17-1/" + name(5)[:16]: [name(5) + "-5f.zst"]}
        self.assertEqual(archive_inherit.settle_inheritance(inherited, "main"), [])
        # What comes before may be on an earlier timeline.
        self.write("pg_wal/00000003.history", "1\t0/5000148\tx\n2\t0/6000148\ty\n")
        self.repository = {"archive/main": ["17-1"], "archive/main/17-1/" + name(5, 2)[:16]: [name(5, 2) + "-5f.zst"]}
        self.assertEqual(archive_inherit.settle_inheritance(inherited, "main"), [])

    def test_nothing_comes_before_the_first_segment(self):
        self.configure()
        self.add(name(1), "done")
        inherited = archive_inherit.inherit_unknown()
        self.promote()
        self.assertEqual(archive_inherit.settle_inheritance(inherited, "main"), [])


class Stop(Data):
    def test_holds_archiving_only_with_backups(self):
        done = []
        with mock.patch.multiple(
            archive_stop,
            run=lambda words, **_: done.append(words),
            inspect_container=lambda container: {"State": {"Pid": os.getpid()}},
        ):
            archive_stop.hold_archiving("postgres-main")
            self.assertEqual(done, [])
            self.configure()
            archive_stop.hold_archiving("postgres-main")
        (words,) = done
        self.assertEqual(words[:3], ["docker", "exec", "postgres-main"])
        self.assertGreater(int(words[-2]), time.time() + 300)
        self.assertEqual(words[-1], archive_push.STOPPING)

    def test_ends_pushes_but_not_those_in_the_background(self):
        self.configure()
        import subprocess

        script = "import time; time.sleep(60)"
        begin = [sys.executable, "-c", script, "/opt/pgbackrest/2f/pgbackrest.bin", "--stanza=main"]
        push = subprocess.Popen([*begin, "archive-push", "pg_wal/" + name(3)])
        others = [
            subprocess.Popen([*begin, "archive-push:async", "/data/pg_wal"]),
            subprocess.Popen([sys.executable, "-c", script, "/bin/sh", "/opt/pgbackrest/archive-push", "pg_wal/x"]),
        ]
        try:
            # Until all of them have been executed.
            deadline = time.monotonic() + 30
            while archive_stop.interrupt_push(os.getpid()) == 0 and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertEqual(push.wait(30), -15)
            self.assertEqual([other.poll() for other in others], [None, None])
        finally:
            for process in [push, *others]:
                process.kill()
                process.wait()


class Archiver(unittest.TestCase):
    def test_the_managed_command_archives_only_with_the_file(self):
        self.assertIn("position('/opt/pgbackrest/archive-push ' IN current_setting('archive_command'))", archiver.ARCHIVER)
        self.assertIn("pg_stat_file('/etc/postgresql-cluster/pgbackrest.conf', true) IS NULL", archiver.ARCHIVER)


if __name__ == "__main__":
    unittest.main()
