import contextlib
import fcntl
import os
import signal
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import archive_push, backup_program, backup_run, backup_state, files, worker
from postgres_cluster.command import Problem

NOW = 1_795_740_000
DAY = 24 * 3600


def made(kind, started, wal=2, since=None):
    """A backup as the repository reports it."""
    found = {"type": kind, "started": started, "ended": started + 60, "startWal": segment(wal), "stop": wal * 2**24}
    return {**found, "label": "backup-%d" % wal, "missingSince": since}


def segment(number):
    return "0000000100000000%08X" % number


FULL_BACKUP = made("full", NOW - 3600)

# `docker exec … CONTAINER COMMAND…` runs the command here; `docker inspect` knows one container.
DOCKER = """#!/bin/sh
case $1 in
  inspect) cat "$FOLDER/container"; exit ;;
esac
shift
while [ "$1" != postgres-orders ]; do shift; done
shift
exec "$@"
"""

# Says what pgBackRest says, with the outcome in $FOLDER/outcome.
PGBACKREST = """#!/bin/sh
echo "$*" > "$FOLDER/arguments"
echo "P00   INFO: backup command begin 2.55.1: --type=full"
. "$FOLDER/outcome"
"""
SUCCESS = """
echo 'P00   INFO: backup start archive = 000000010000000000000009, lsn = 0/9000028'
echo 'P00   INFO: new backup label = 20261127-004401F'
echo 'P00   INFO: full backup size = 152.9MB, file total = 969'
echo 'P00   INFO: backup command end: completed successfully'
"""
# Runs until it is told to end.
ENDLESS = """
printf '{"execId":"1-a","pctCplt":2500,"pid":1,"sz":4000,"szCplt":1000}' > "$FOLDER/lock"
trap 'echo "P00   INFO: backup command end: terminated on signal [SIGTERM]"; echo > "$FOLDER/ended"; exit 63' TERM
while :; do sleep 0.05; done
"""


def is_gone(process):
    """Whether a process has ended, or ends within a second."""
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError), open("/proc/%d/stat" % process, encoding="ascii") as file:
            if file.read().split()[2] != "Z":
                time.sleep(0.01)
                continue
        return True
    return False


class Node(unittest.TestCase):
    """A node in a folder: its volume, /run, `docker` and pgBackRest, which are scripts."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name in ("etc", "run"):
            os.mkdir("%s/%s" % (self.folder, name))
        self.write("docker", DOCKER, 0o755)
        self.write("pgbackrest", PGBACKREST, 0o755)
        self.write("container", "true 2026-11-27T00:00:00Z\n")
        self.write("outcome", SUCCESS)
        self.write("etc/backup.json", '{"time": "02:30", "fullOn": "sunday"}')
        self.repository = {"problem": None, "backups": []}
        os.mkdir(self.folder + "/spool")
        self.writes = segment(8)
        self.annotated = []
        self.annotates = True
        self.primary = True
        self.archives = True
        self.archive_bytes = 4096

        def write(path, text, mode=0o644, owner=None):
            return files.write_text(path, text, mode, (os.getuid(), os.getgid()))

        def annotate(cluster, label, since):
            if not self.annotates:
                raise Problem("s3.example does not answer")
            self.annotated.append((label, since))

        run = self.folder + "/run"
        etc = self.folder + "/etc"
        for module, names in [
            (archive_push, {"SPOOL": self.folder + "/spool"}),
            (worker, {"RUN": run, "PROGRESS": run + "/progress.json", "write_text": write}),
            (
                backup_state,
                {
                    "STATE": self.folder + "/backup-state.json",
                    "ORDER": run + "/backup-order.json",
                    "RUN": run,
                    "PROGRESS": run + "/progress.json",
                    "write_text": write,
                    "is_active": lambda cluster: True,
                },
            ),
            (backup_run, {"PGBACKREST": self.folder + "/pgbackrest", "find_lock": lambda cluster: self.folder + "/lock"}),
            (
                backup_program,
                {
                    "ETC": etc,
                    "RUN": run,
                    "LOCK": run + "/backup.lock",
                    "is_archiving": lambda: self.archives,
                    "is_primary": lambda cluster: self.primary,
                    "annotate_gap": annotate,
                    "ask_once": lambda container, sql: self.writes,
                    "read_repository": lambda cluster: self.repository,
                    "measure_archive": lambda cluster: self.measure_archive(),
                },
            ),
        ]:
            patch = mock.patch.multiple(module, **names)
            patch.start()
            self.addCleanup(patch.stop)
        environment = mock.patch.dict(os.environ, PATH=self.folder + ":" + os.environ["PATH"], FOLDER=self.folder)
        environment.start()
        self.addCleanup(environment.stop)
        quiet = mock.patch("builtins.print")
        self.said = quiet.start()
        self.addCleanup(quiet.stop)
        self.addCleanup(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))

    def measure_archive(self):
        if isinstance(self.archive_bytes, Exception):
            raise self.archive_bytes
        return self.archive_bytes

    def write(self, name, text, mode=0o644):
        with open("%s/%s" % (self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod("%s/%s" % (self.folder, name), mode)

    def make(self, order=None):
        return backup_program.make_backup("orders", order)

    def drop(self, *notes):
        self.write("spool/dropped", "".join("%s\n" % note for note in notes))

    def read_state(self):
        return backup_state.read_state("orders")


class Run(Node):
    def test_a_full_backup(self):
        self.assertIsNone(self.make())
        state = self.read_state()
        self.assertIsNone(state["running"])
        self.assertEqual(state["failures"], 0)
        self.assertEqual(state["last"], state["succeeded"])
        self.assertEqual((state["last"]["type"], state["last"]["label"]), ("full", "20261127-004401F"))
        with open(self.folder + "/arguments", encoding="utf-8") as file:
            said = file.read()
        self.assertIn("--type=full", said)
        self.assertIn("--stanza=orders", said)
        self.assertEqual(files.read_json(self.folder + "/run/progress.json")["working"], False)

    def test_what_is_due_follows_from_the_repository(self):
        with mock.patch.object(backup_program.time, "time", lambda: NOW):
            self.repository["backups"] = [FULL_BACKUP]
            self.assertIsNone(self.make())
            self.assertNotIn("last", self.read_state())
            self.repository["backups"] = [made("full", NOW - DAY)]
            self.assertIsNone(self.make())
            self.assertEqual(self.read_state()["last"]["type"], "incremental")
        with open(self.folder + "/arguments", encoding="utf-8") as file:
            self.assertIn("--type=incr", file.read())

    def test_no_backup_where_this_node_makes_none(self):
        for name in ("archives", "primary"):
            setattr(self, name, False)
            self.assertIsNone(self.make())
            self.assertNotIn("last", self.read_state())
            setattr(self, name, True)

    def test_an_order_always_has_an_end(self):
        self.primary = False
        self.assertIn("primary", self.make({"id": "a", "type": "full"}))
        last = self.read_state()["last"]
        self.assertEqual((last["order"], last["type"]), ("a", "full"))
        self.assertIn("primary", last["problem"])
        self.primary, self.repository = True, {"problem": "s3.example does not answer", "backups": []}
        self.make({"id": "b", "type": "full"})
        self.assertEqual(self.read_state()["last"]["order"], "b")
        self.assertIn("s3.example does not answer", self.read_state()["last"]["problem"])
        self.repository = {"problem": None, "backups": [FULL_BACKUP]}
        self.assertIsNone(self.make({"id": "c", "type": "incremental"}))
        last = self.read_state()["last"]
        self.assertEqual((last["order"], last["type"], last["problem"]), ("c", "incremental", None))

    def test_a_repository_that_cannot_be_read_is_no_failed_backup(self):
        self.repository = {"problem": "s3.example does not answer", "backups": []}
        self.assertIn("s3.example", self.make())
        self.assertNotIn("last", self.read_state())

    def test_a_failure_is_a_sentence_and_is_counted(self):
        self.write("outcome", "echo 'P00  ERROR: [082]: WAL segment 00 was not archived before the 600000ms timeout'\nexit 82")
        self.assertTrue(self.make())
        state = self.read_state()
        self.assertEqual(state["failures"], 1)
        self.assertNotIn("\n", state["last"]["problem"])
        self.assertIn("P00  ERROR", state["last"]["log"])
        # The pause: nothing is tried at once.
        self.assertIsNone(self.make())
        self.assertEqual(self.read_state()["failures"], 1)
        self.write("outcome", SUCCESS)
        self.assertIsNone(self.make({"id": "a", "type": "full"}))
        self.assertEqual(self.read_state()["failures"], 0)

    def test_a_backup_is_one_although_what_expired_could_not_be_removed(self):
        self.write("outcome", SUCCESS + "echo 'P00  ERROR: [039]: HTTP request failed with 403'\nexit 39")
        self.assertIsNone(self.make())
        last = self.read_state()["last"]
        self.assertIsNone(last["problem"])
        self.assertIn("expired", last["note"])

    def test_a_label_alone_is_no_backup(self):
        self.write("outcome", "echo 'P00   INFO: new backup label = 20261127-004401F'\nexit 1")
        self.assertTrue(self.make())
        self.assertEqual(self.read_state()["failures"], 1)

    def test_a_server_that_was_restarted_cuts_the_backup(self):
        self.write("outcome", 'echo "true 2026-11-27T00:05:00Z" > "$FOLDER/container"; exit 137')
        self.assertEqual(self.make(), backup_program.SERVER_STOPPED)
        self.assertEqual(self.read_state().get("failures") or 0, 0)
        self.write("outcome", SUCCESS)
        self.assertIsNone(self.make())
        self.assertIsNone(self.read_state()["last"]["problem"])

    def test_what_a_killed_pgbackrest_leaves_running_is_ended(self):
        self.write("outcome", 'sleep 60 & echo $! > "$FOLDER/worker"; kill -KILL $$')
        self.assertTrue(self.make())
        with open(self.folder + "/worker", encoding="ascii") as file:
            worker_id = int(file.read())
        self.assertTrue(is_gone(worker_id), "process %d still runs" % worker_id)
        self.assertEqual(self.read_state()["failures"], 1)

    def test_a_killed_run_is_recorded_by_the_next(self):
        backup_state.write_state({"cluster": "orders", "running": {"type": "full", "started": NOW, "order": "a"}})
        self.primary = False
        self.make()
        state = self.read_state()
        self.assertIsNone(state["running"])
        self.assertEqual((state["last"]["problem"], state["last"]["order"]), (backup_program.CUT, "a"))

    def test_the_gap_is_forgotten_after_a_full_backup_only(self):
        self.repository["backups"] = [made("full", NOW - DAY)]
        # A file may be noted after the backup that does not need it has begun; a clock says nothing.
        self.drop("%d %s" % (NOW + DAY, segment(8)))
        with mock.patch.object(backup_program.time, "time", lambda: NOW):
            self.write("outcome", "exit 1")
            self.assertTrue(self.make())
            self.assertIsNotNone(archive_push.read_dropped())
            self.write("outcome", SUCCESS)
            self.assertIsNone(self.make({"id": "a", "type": "incremental"}))
        self.assertIsNone(archive_push.read_dropped())
        last = self.read_state()["last"]
        self.assertEqual((last["type"], last["closesGap"]), ("full", True))
        self.assertEqual(self.annotated, [("20261127-004401F", NOW + DAY)])

    def test_a_run_that_was_to_close_a_gap_and_was_killed_begins_again_at_once(self):
        self.repository["backups"] = [made("full", NOW - DAY)]
        self.drop("%d %s" % (NOW - 60, segment(5)))
        killed = {"type": "full", "started": NOW - 20, "order": None, "closesGap": True}
        backup_state.write_state({"cluster": "orders", "running": killed})
        with mock.patch.object(backup_program.time, "time", lambda: NOW):
            self.assertIsNone(self.make())
        self.assertEqual(self.read_state()["last"]["label"], "20261127-004401F")

    def test_what_is_dropped_from_a_full_backup_on_makes_the_next_due(self):
        self.repository["backups"] = [FULL_BACKUP]
        # Long before the backup, by the clock.
        self.drop("%d %s" % (NOW - DAY, segment(9)))
        self.assertIsNone(self.make())
        self.assertEqual(self.read_state()["last"]["type"], "full")
        self.assertEqual(archive_push.read_dropped()["last"], segment(9))

    def test_a_gap_that_another_run_closed_is_forgotten(self):
        self.repository["backups"] = [made("full", NOW - DAY), made("full", NOW - 3600, 6)]
        self.drop("%d %s" % (NOW - 60, segment(5)))
        with mock.patch.object(backup_program.time, "time", lambda: NOW):
            self.make()
        self.assertIsNone(archive_push.read_dropped())
        self.assertNotIn("last", self.read_state())

    def test_a_gap_that_was_closed_is_noted_in_the_repository(self):
        with mock.patch.object(backup_program.time, "time", lambda: NOW):
            for since, expected in [
                (None, [("backup-6", NOW - 7200)]),
                # A file of the same gap that was noted later, and one that was written earlier.
                (NOW - 9000, []),
                (NOW - 7000, [("backup-6", NOW - 7200)]),
            ]:
                self.annotated = []
                self.repository["backups"] = [made("full", NOW - DAY), made("full", NOW - 3600, 6, since), made("full", NOW - 60, 7)]
                self.drop("%d %s" % (NOW - 7000, segment(4)), "%d %s" % (NOW - 7200, segment(5)))
                self.make()
                self.assertEqual(self.annotated, expected)
                self.assertIsNone(archive_push.read_dropped())

    def test_a_gap_that_began_nobody_knows_when_begins_with_the_end_of_the_backup_before_it(self):
        self.repository["backups"] = [made("full", NOW - DAY), made("incr", NOW - 7200)]
        archive_push.note_dropped([segment(5)])
        with mock.patch.object(backup_program.time, "time", lambda: NOW):
            self.assertIsNone(self.make())
        self.assertEqual(self.annotated, [("20261127-004401F", NOW - 7200 + 60)])

    def test_a_repository_that_takes_no_note_leaves_it_here_and_makes_no_backup_due(self):
        self.repository["backups"] = [made("full", NOW - 3600, 6)]
        self.drop("%d %s" % (NOW - 7000, segment(4)))
        self.annotates = False
        with mock.patch.object(backup_program.time, "time", lambda: NOW):
            self.assertIsNone(self.make())
            self.assertNotIn("last", self.read_state())
            self.assertIsNotNone(archive_push.read_dropped())
            self.annotates = True
            self.make()
        self.assertEqual(self.annotated, [("backup-6", NOW - 7000)])
        self.assertIsNone(archive_push.read_dropped())

    def test_a_gap_without_a_name_is_before_what_the_server_writes(self):
        self.repository["backups"] = [made("full", NOW - 3600, 8)]
        self.drop("%d of-the-lost-primary" % (NOW - DAY))
        self.writes = None
        with mock.patch.object(backup_program.time, "time", lambda: NOW):
            self.assertIn("does not say", self.make())
            self.writes = segment(8)
            self.assertIsNone(self.make())
        self.assertEqual(self.read_state()["last"]["type"], "full")
        self.assertIsNone(archive_push.read_dropped())

    def test_the_state_of_another_cluster_is_not_used(self):
        backup_state.write_state({"cluster": "sales", "running": None, "last": {"ended": 1}})
        self.assertEqual(backup_state.observe_backup_runs("orders"), {"running": None, "last": None})

    def test_the_archive_is_measured_after_a_backup(self):
        label = "20261127-004401F"
        self.make()
        self.assertEqual(backup_state.read_wal_bytes("orders", label), 4096)
        # Nothing was due, so nothing is listed.
        self.archive_bytes = 8192
        self.repository["backups"] = [made("full", int(time.time()) - 60)]
        self.make()
        self.assertEqual(backup_state.read_wal_bytes("orders", label), 4096)
        # Another node has made one since, or the repository is another one.
        for newest in ("20261128-004401F", None):
            self.assertIsNone(backup_state.read_wal_bytes("orders", newest))

    def test_an_archive_that_cannot_be_measured_fails_no_backup(self):
        for size, expected in [(backup_program.Stopped(), 4096), (None, None)]:
            with self.subTest(size):
                self.make()
                self.archive_bytes = size
                self.assertIsNone(self.make())
                self.assertIsNone(self.read_state()["last"]["problem"])
                self.assertEqual(backup_state.read_wal_bytes("orders", "20261127-004401F"), expected)
                self.archive_bytes = 4096

    def test_a_backup_that_failed_measures_nothing(self):
        self.write("outcome", "exit 1")
        self.assertIsNotNone(self.make())
        self.assertNotIn("wal", self.read_state())


class Main(Node):
    def main(self):
        with mock.patch.object(sys, "argv", ["backup_program", "orders"]):
            backup_program.main()

    def test_one_at_a_time(self):
        with open(self.folder + "/run/backup.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.main()
        self.assertNotIn("last", self.read_state())
        self.main()
        self.assertIn("last", self.read_state())

    def test_an_order_is_taken_once(self):
        self.repository["backups"] = [made("full", int(time.time()) - 60)]
        backup_state.write_order({"id": "a", "type": "incremental"})
        self.main()
        self.assertEqual(self.read_state()["last"]["order"], "a")
        ended = self.read_state()["last"]["ended"]
        self.assertIsNone(backup_state.take_order())
        self.main()
        self.assertEqual(self.read_state()["last"]["ended"], ended)

    def test_an_order_of_another_shape_is_none(self):
        for text in ("[]", "{}", '{"id": "a", "type": "--stanza=x"}', "no json"):
            self.write("run/backup-order.json", text)
            self.assertIsNone(backup_state.take_order())
            self.assertFalse(os.path.exists(self.folder + "/run/backup-order.json"))

    def test_a_failure_is_the_exit_code(self):
        self.write("outcome", "exit 1")
        with self.assertRaises(SystemExit) as caught:
            self.main()
        self.assertEqual(caught.exception.code, 1)

    def test_sigterm_ends_pgbackrest_in_the_container(self):
        self.write("outcome", ENDLESS)
        wait = backup_run.BackupRun.wait
        seen = []

        def stop_once_it_reports(run, seconds):
            code = wait(run, 0.1)
            if run.done and not seen:
                seen.append(backup_state.observe_backup_runs("orders")["running"])
                os.kill(os.getpid(), signal.SIGTERM)
            return code

        with mock.patch.object(backup_run.BackupRun, "wait", stop_once_it_reports), self.assertRaises(SystemExit):
            self.main()
        self.assertTrue(os.path.exists(self.folder + "/ended"), "pgBackRest got no signal")
        state = self.read_state()
        self.assertEqual(state["last"]["problem"], backup_program.STOPPED)
        self.assertEqual(state.get("failures") or 0, 0)
        self.assertEqual(seen[0]["type"], "full")
        progress = files.read_json(self.folder + "/run/progress.json")
        self.assertEqual((progress["done"], progress["total"], progress["working"]), (1000, 4000, False))

    def test_a_client_that_is_killed_ends_pgbackrest(self):
        self.write("outcome", ENDLESS)
        run = backup_run.BackupRun(backup_run.list_arguments("orders", "full"))
        while run.done == 0:
            self.assertIsNone(run.wait(0.1))
        # What Docker does to the program's input when its client is gone.
        run._process.stdin.close()
        while not os.path.exists(self.folder + "/ended"):
            run.wait(0.1)
        self.assertEqual(run.wait(10), 63)


class Read(unittest.TestCase):
    def setUp(self):
        self.run = object.__new__(backup_run.BackupRun)
        self.run.done, self.run.total, self.run.log, self.run.label, self.run.is_complete = 0, None, "", None, False
        quiet = mock.patch("builtins.print")
        quiet.start()
        self.addCleanup(quiet.stop)

    def test_progress_never_goes_back(self):
        for line, expected in [
            ('{"execId":"110-fabce1eb","pid":7}', (0, None)),
            ('{"execId":"110-fabce1eb","pctCplt":0,"pid":7,"sz":160359097,"szCplt":0}', (0, 160359097)),
            ('{"execId":"110-fabce1eb","pctCplt":1466,"pid":7,"sz":160359097,"szCplt":23519929}', (23519929, 160359097)),
            ('{"execId":"110-fabce1eb","pid":7}', (23519929, 160359097)),
            ('{"execId":"110-fab', (23519929, 160359097)),
            ('{"sz":[],"szCplt":{}}', (23519929, 160359097)),
            ('{"execId":"110-fabce1eb","pctCplt":0,"pid":7,"sz":160359097,"szCplt":0}', (23519929, 160359097)),
        ]:
            self.run.take_line(line + "\n")
            self.assertEqual((self.run.done, self.run.total), expected)
        self.assertEqual(self.run.log, "")

    def test_labels(self):
        for label in ("20261127-004401F", "20261127-004436F_20261127-004633I"):
            self.run.take_line("P00   INFO: new backup label = %s\n" % label)
            self.assertEqual(self.run.label, label)
        self.run.take_line("P00   INFO: backup start archive = 000000010000000000000006, lsn = 0/6000028\n")
        self.assertEqual(self.run.wal, "000000010000000000000006")
        self.run.take_line("P00   INFO: last backup label = 20261127-004436F, version = 2.55.1\n")
        self.assertEqual(self.run.label, "20261127-004436F_20261127-004633I")

    def test_the_lock_is_where_the_configuration_says(self):
        for text, expected in [
            ("[global]\nlock-path=/tmp/elsewhere\n", "/tmp/elsewhere/orders-backup-1.lock"),
            ("[global]\n", "/tmp/pgbackrest/orders-backup-1.lock"),
            (None, "/tmp/pgbackrest/orders-backup-1.lock"),
        ]:
            with mock.patch.object(backup_run, "read_text", lambda path, text=text: text):
                self.assertEqual(backup_run.find_lock("orders"), expected)


if __name__ == "__main__":
    unittest.main()
