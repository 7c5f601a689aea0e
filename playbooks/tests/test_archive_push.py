import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import archive_push

SEGMENT = "000000010000000000000003"
# The words of pgBackRest 2.55.1.
DROPPED = "P00   WARN: dropped WAL file '%s' because archive queue exceeded 1GB" % SEGMENT
# busybox's shell, where it is installed, as in Alpine's images.
SHELLS = [["dash"], *([["busybox", "sh"]] if shutil.which("busybox") else [])]


def name(number, timeline=1):
    """A segment's."""
    return "%08X%08X%08X" % (timeline, 0, number)


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.marker = self.folder + "/dropped"

    def write(self, name, text, mode=0o644):
        with open("%s/%s" % (self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod("%s/%s" % (self.folder, name), mode)

    def read(self, name):
        with open("%s/%s" % (self.folder, name), encoding="utf-8") as file:
            return file.read()


class Script(Folder):
    """The script with a stand-in for pgBackRest."""

    def setUp(self):
        super().setUp()
        self.write("pgbackrest.conf", "[global]\nrepo1-type=s3\n[global:archive-get]\nprocess-max=2\n\n[global-db]\npg1-path=/x\n")
        text = archive_push.SCRIPT_TEXT
        for path, ours in [
            ("/etc/postgresql-cluster/pgbackrest.conf", self.folder + "/pgbackrest.conf"),
            ("/var/spool/pgbackrest", self.folder),
            ("/dev/shm/postgres-cluster.stopping", self.folder + "/stopping"),
            ("/opt/pgbackrest/", self.folder + "/"),
        ]:
            self.assertIn(path, text)
            text = text.replace(path, ours)
        self.write("archive-push", text, 0o755)

    def push(self, shell, said="", status=0, stops=False, name=SEGMENT):
        stop = "echo 99999999999 > %s/stopping\n" % self.folder if stops else ""
        self.write("said", said)
        self.write("pgbackrest", '#!/bin/sh\necho "$*" > %s/called\n%scat %s/said\nexit %d\n' % (
            self.folder, stop, self.folder, status), 0o755)
        return subprocess.run(
            [*shell, self.folder + "/archive-push", "pg_wal/" + name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False, cwd=self.folder,
        )

    def test_a_long_queue_is_tested_file_by_file(self):
        os.makedirs(self.folder + "/pg_wal/archive_status")
        for shell in SHELLS:
            for limit, waiting, mode in [("1GiB", 64, "y"), ("1GiB", 65, "n"), ("48MiB", 3, "y"), ("48MiB", 4, "n")]:
                with self.subTest(shell=shell, limit=limit, waiting=waiting):
                    self.write("pgbackrest.conf", "[global]\narchive-push-queue-max=%s\n[orders]\n" % limit)
                    shutil.rmtree(self.folder + "/pg_wal/archive_status")
                    os.makedirs(self.folder + "/pg_wal/archive_status")
                    for number in range(waiting):
                        self.write("pg_wal/archive_status/%024X.ready" % number, "")
                    self.push(shell)
                    self.assertIn(" --archive-async=%s " % mode, self.read("called"))

    def test_a_killed_program_is_a_failure_that_is_counted(self):
        for status in (126, 127, 137, 139):
            self.assertEqual(self.push(SHELLS[0], status=status).returncode, 1)

    def test_pushes_the_file_and_keeps_words_and_exit_code(self):
        for shell in SHELLS:
            with self.subTest(shell):
                done = self.push(shell, "P00  ERROR: [082]: unable to push\n", 82)
                self.assertEqual((done.returncode, done.stderr), (82, "P00  ERROR: [082]: unable to push\n"))
                self.assertIn("--stanza=global-db ", self.read("called"))
                self.assertTrue(self.read("called").endswith(" archive-push pg_wal/%s\n" % SEGMENT))
                done = self.push(shell)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                self.assertFalse(os.path.exists(self.marker))

    def test_notes_a_dropped_file(self):
        for shell in SHELLS:
            with self.subTest(shell):
                self.assertEqual(self.push(shell, DROPPED + "\n").returncode, 0)
                moment, name = self.read("dropped").split()
                self.assertLess(abs(int(moment) - time.time()), 60)
                self.assertEqual(name, SEGMENT)
                os.unlink(self.marker)

    def test_notes_when_a_file_was_written(self):
        os.mkdir(self.folder + "/pg_wal")
        self.write("pg_wal/" + SEGMENT, "")
        os.utime("%s/pg_wal/%s" % (self.folder, SEGMENT), (1, 1_795_740_000))
        for shell in SHELLS:
            with self.subTest(shell):
                self.push(shell, DROPPED)
                self.assertEqual(self.read("dropped"), "1795740000 %s\n" % SEGMENT)
                os.unlink(self.marker)

    def test_a_file_that_no_recovery_reads_is_no_gap(self):
        for shell in SHELLS:
            for name, is_noted in [
                ("00000002.history", True),
                (SEGMENT + ".00000028.backup", False),
                (SEGMENT + ".partial", False),
            ]:
                with self.subTest(shell=shell, name=name):
                    self.assertEqual(self.push(shell, DROPPED.replace(SEGMENT, name), name=name).returncode, 0)
                    self.assertEqual(os.path.exists(self.marker), is_noted)
                    if is_noted:
                        os.unlink(self.marker)

    def test_the_notes_are_bounded_and_keep_the_first_and_the_latest(self):
        lines = ["%d %s\n" % (1000 + number, SEGMENT) for number in range(3000)]
        for shell in SHELLS:
            with self.subTest(shell):
                self.write("dropped", "".join(lines))
                self.push(shell, DROPPED)
                kept = self.read("dropped").splitlines()
                self.assertEqual(kept[:2], [lines[0].strip(), lines[2500].strip()])
                self.assertEqual(len(kept), 502)

    def test_a_server_that_is_stopped_does_not_wait_for_the_archive(self):
        for shell in SHELLS:
            with self.subTest(shell):
                self.write("called", "not at all")
                self.write("stopping", "%d\n" % (time.time() + 60))
                self.assertEqual(self.push(shell).returncode, 126)
                self.assertEqual(self.read("called"), "not at all")
                # A stop that never came.
                for past in ("%d\n" % (time.time() - 1), "", "soon\n"):
                    self.write("stopping", past)
                    self.assertEqual(self.push(shell).returncode, 0)
                os.unlink(self.folder + "/stopping")
                # A push under way is cut off by the stop; one that has succeeded counts.
                self.assertEqual(self.push(shell, status=63, stops=True).returncode, 126)
                os.unlink(self.folder + "/stopping")
                self.assertEqual(self.push(shell, stops=True).returncode, 0)
                os.unlink(self.folder + "/stopping")

    def test_a_missing_program_is_a_failure_that_postgresql_counts(self):
        for shell in SHELLS:
            with self.subTest(shell):
                self.push(shell)
                os.unlink(self.folder + "/pgbackrest")
                done = subprocess.run([*shell, self.folder + "/archive-push", "x"], stderr=subprocess.PIPE, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"not found", done.stderr)


class Dropped(Folder):
    def setUp(self):
        super().setUp()
        patch = mock.patch.object(archive_push, "SPOOL", self.folder)
        patch.start()
        self.addCleanup(patch.stop)

    def read_last(self):
        return (archive_push.read_dropped() or {}).get("last")

    def test_counts_the_files_that_the_archive_will_never_have(self):
        self.assertIsNone(archive_push.read_dropped())
        first, last = name(7), name(9)
        self.write("dropped", "100 %s\n\nnonsense B\n\u0663 C\n5\n300 %s\n200 %s\n" % (first, last, name(8)))
        self.assertEqual(archive_push.read_dropped(), {"files": 3, "since": 100, "last": last})
        self.assertEqual(archive_push.read_dropped(last), {"files": 1, "since": 300, "last": last})
        self.assertIsNone(archive_push.read_dropped(name(10)))

    def test_a_name_that_is_not_known_is_none_of_all(self):
        self.write("dropped", "100 %s\n300 of-the-lost-primary\n" % name(7))
        self.assertEqual(archive_push.read_dropped(name(99)), {"files": 1, "since": 300, "last": None})

    def test_forgets_what_a_full_backup_does_not_need(self):
        # Dropped file, the first segment of a full backup, whether it is forgotten. When either was is of no interest.
        for dropped, start, is_forgotten in [
            (name(7), name(8), True),
            (name(7), name(7), False),
            (name(8), name(7), False),
            # The name has three numbers: 0xFF segments of 16 MiB fill 4 GiB.
            (name(0xFF), "000000010000000100000000", True),
            ("000000010000000100000000", name(0xFF), False),
            # Timelines. On an earlier one it is before the fork, or on a branch that was left.
            (name(7, 1), name(8, 2), True),
            (name(9, 1), name(8, 2), True),
            (name(9, 0xF), name(8, 0x10), True),
            # A recovery that begins on an earlier one goes on to the later.
            (name(9, 3), name(8, 2), False),
            (name(7, 3), name(8, 2), False),
            # A recovery that begins on a timeline needs no history of it.
            ("00000002.history", name(8, 1), False),
            ("00000002.history", name(8, 2), True),
            ("00000002.history", name(1, 2), True),
            ("00000002.history", name(8, 3), True),
            ("of-the-lost-primary", name(8), False),
        ]:
            with self.subTest(dropped=dropped, start=start):
                self.write("dropped", "100 %s\n" % dropped)
                archive_push.forget_dropped(start)
                self.assertEqual(archive_push.read_dropped() is None, is_forgotten)
                self.assertEqual(os.path.exists(self.marker), not is_forgotten)

    def test_finds_the_full_backups_that_closed_gaps(self):
        self.write("dropped", "".join("%d %s\n" % note for note in [(300, name(4)), (200, name(5)), (500, name(8)), (9, "word")]))
        self.assertEqual(archive_push.find_closed([name(2), name(6), name(7)]), {name(6): 200})
        self.assertEqual(archive_push.find_closed([name(2, 2), name(6)]), {name(6): 200, name(2, 2): 500})
        self.assertEqual(archive_push.find_closed([]), {})

    def test_an_interrupted_forgetting_loses_nothing(self):
        self.write("dropped.old", "100 %s\n300 %s\n" % (name(6), name(8)))
        self.write("dropped", "400 %s\n" % name(9))
        self.assertEqual(archive_push.read_dropped(), {"files": 3, "since": 100, "last": name(9)})
        archive_push.forget_dropped(name(7))
        self.assertEqual(archive_push.read_dropped(), {"files": 2, "since": 300, "last": name(9)})
        self.assertEqual(os.listdir(self.folder), ["dropped"])

    def test_notes_files_beside_the_scripts(self):
        self.write("dropped", "100 %s\n" % name(1))
        archive_push.note_dropped([name(2), name(3)])
        # When their WAL was written is not known.
        self.assertEqual(archive_push.read_dropped(), {"files": 3, "since": 0, "last": name(3)})
        self.assertTrue(archive_push.is_dropped(name(2)))
        self.assertFalse(archive_push.is_dropped(name(4)))

    def test_a_note_without_a_name_gets_the_one_that_the_server_writes_to(self):
        self.write("dropped", "100 %s\n200 of-the-lost-primary\n" % name(5))
        archive_push.name_dropped(name(7))
        self.assertEqual(archive_push.read_dropped(), {"files": 2, "since": 100, "last": name(7)})
        archive_push.name_dropped(name(9))
        self.assertEqual(self.read_last(), name(7))
        # A failover that has asked the archive meanwhile still finds its note.
        archive_push.forget_noted("of-the-lost-primary")
        self.assertEqual(self.read("dropped"), "100 %s\n" % name(5))

    def test_opens_nothing_that_the_containers_user_put_there(self):
        secret = tempfile.NamedTemporaryFile()
        self.addCleanup(secret.close)
        secret.write(b"100 root\n")
        secret.flush()
        os.symlink(secret.name, self.marker)
        self.assertIsNone(archive_push.read_dropped())
        archive_push.note_dropped(["A"])
        with open(secret.name) as file:
            self.assertEqual(file.read(), "100 root\n")
        os.unlink(self.marker)
        os.mkfifo(self.marker)
        self.assertIsNone(archive_push.read_dropped())
        archive_push.forget_dropped(name(1))
        os.mkdir(self.marker)
        os.mkdir(self.marker + ".old") if not os.path.exists(self.marker + ".old") else None
        archive_push.forget_dropped(name(1))
        archive_push.note_dropped(["A"])


if __name__ == "__main__":
    unittest.main()
