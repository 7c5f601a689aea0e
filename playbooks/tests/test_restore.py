import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import restore, restore_branch, restore_source, restore_stages
from postgres_cluster.command import Pending, Problem
from postgres_cluster.control import Control
from postgres_cluster.image import Image
from postgres_cluster.sizes import Space
from postgres_cluster.spec import Spec
from postgres_cluster.stages import Recovery, Restore
from postgres_cluster.work import CUT, FOUND, Work

IMAGE = Image("postgres@sha256:aa", 999, 999, 17, "glibc", ["/var/lib/postgresql/data"])
SPEC = Spec("orders-2", "node-1", "postgres:17", [], None, None, "", "", "node-1", "10.42.0.11", step="restore", deadline=0.0)
SOURCE = restore_source.Source("backups", "/production/orders", "orders")
FROM = {"bucket": "backups", "prefix": "production", "cluster": "orders"}
GIB = 1024**3
# 2026-11-27 00:46:03 UTC.
END = 1795740363
NEWEST = "000000010000000000000006"


def backup(label, stop, **change):
    """A backup as `pgbackrest info` describes it."""
    facts = {"database": {"id": 1, "repo-key": 1}, "error": False, "info": {"size": 40 * 1024**2}, "type": "full"}
    facts.update(archive={"start": "000000010000000000000002", "stop": "000000010000000000000003"})
    facts.update(lsn={"start": "0/2000028", "stop": "0/3000050"})
    return {**facts, "label": label, "timestamp": {"start": stop - 2, "stop": stop}, **change}


def stanza(*backups, code=0, message="ok", **change):
    status = {"code": code, "message": message}
    facts = {
        "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "17-1", "max": NEWEST, "min": "000000010000000000000001"}],
        "db": [{"id": 1, "repo-key": 1, "system-id": 77, "version": "17"}],
        "repo": [{"key": 1, "status": status}],
        "status": status,
    }
    return {**facts, "backup": list(backups), **change}


class Choose(unittest.TestCase):
    """Which backup a restore begins with."""

    TWO = stanza(backup("20261126-023001F", END - 86400), backup("20261127-004601F", END))

    def choose(self, document, moment, now=END + 3600, archived=None, branch=restore_branch.ONLY):
        conf = "repo1-path=/production/orders\nrepo1-s3-bucket=backups\nrepo1-s3-endpoint=s3.eu-west-1.amazonaws.com\n"
        return restore_source.choose(SOURCE, conf, document, moment, now, lambda choice: archived, lambda database: branch)

    def refuse(self, *arguments, **options):
        with self.assertRaises(Problem) as caught:
            self.choose(*arguments, **options)
        return caught.exception.message

    def test_the_newest_that_ended_before_the_time(self):
        # The end is known to the second, so a time within that second may be too early for this backup.
        for moment, label in [
            (None, "20261127-004601F"),
            (END + 1, "20261127-004601F"),
            (END + 0.9, "20261126-023001F"),
            (END - 1, "20261126-023001F"),
        ]:
            choice = self.choose(self.TWO, moment)
            self.assertEqual(choice.label, label)
            self.assertEqual(choice.later, [] if label == "20261127-004601F" else [("000000010000000000000002", END)])
            self.assertEqual((choice.system, choice.image), ("77", None))

    def test_the_image_that_the_backup_names(self):
        for note, expected in [("postgres@sha256:aa", "postgres@sha256:aa"), ("a b", None), (7, None)]:
            document = stanza(backup("20261127-004601F", END, annotation={"image": note}))
            self.assertEqual(self.choose(document, None).image, expected)

    # Timeline 3 left 2 at 0/9000000, and 2 left 1 at 0/6000000.
    BRANCH = restore_branch.parse_branch(
        "00000003.history", "1\t0/6000000\tno recovery target specified\n\n# a comment\n2\t0/9000000\tbefore 2026-11-27 00:40:00+00\n"
    )

    def test_a_backup_of_a_branch_that_was_left_is_passed_over(self):
        def on(timeline, stop):
            start = {"start": "%08X0000000000000004" % timeline, "stop": "%08X0000000000000005" % timeline}
            return backup("20261127-004601F", END, archive=start, lsn={"start": "0/4000028", "stop": stop})

        older = backup("20261126-023001F", END - 86400)
        for name, timeline, stop, is_chosen in [
            ("on the newest timeline", 3, "0/A000050", True),
            ("on a timeline whose history is missing", 4, "0/A000050", True),
            ("on the way, before it was left", 2, "0/8000050", True),
            ("complete where it was left", 2, "0/9000000", True),
            ("not complete where it was left", 2, "0/9000050", False),
            ("after it was left, as by a restore", 2, "1/0", False),
            ("before, on the first", 1, "0/5000050", True),
            ("the first went on after a failover", 1, "0/7000050", False),
        ]:
            with self.subTest(name):
                choice = self.choose(stanza(older, on(timeline, stop)), None, branch=self.BRANCH)
                self.assertEqual(choice.label, "20261127-004601F" if is_chosen else "20261126-023001F")
        # A restore to 3 from 1, where 2 had been: nothing of 2 is on the way.
        # A second restore, to a moment before the first one's, on the way to the newest timeline.
        earlier = restore_branch.parse_branch("00000003.history", "1\t0/6000000\tx\n2\t0/3000000\ty\n")
        self.assertEqual(earlier, restore_branch.Branch(3, {1: 0x3000000, 2: 0x3000000}))
        skipping = restore_branch.parse_branch("00000003.history", "1\t0/6000000\tx\n")
        choice = self.choose(stanza(older, on(2, "0/4000050")), None, branch=skipping)
        self.assertEqual(choice.label, "20261126-023001F")
        # Without a time, and with one after it.
        for moment in (None, END + 60):
            said = self.refuse(stanza(on(2, "1/0")), moment, branch=self.BRANCH)
            self.assertIn("recovery follows the newest timeline (3), which began before the end of each", said)
            self.assertIn("backup-type: full", said)

    def test_the_window_is_that_of_the_backups_on_the_way(self):
        left = backup("20261124-023001F", END - 3 * 86400, lsn={"start": "0/7000028", "stop": "0/8000050"})
        said = self.refuse(stanza(left, backup("20261127-004601F", END)), END - 86400, branch=self.BRANCH)
        self.assertIn("allow times from 2026-11-27 00:46:04 UTC", said)

    def test_reads_the_newest_history(self):
        def answer(command, **_):
            asked.append(command)
            said = files if "repo-ls" in command else "1\t0/6000000\tx\n"
            return mock.Mock(returncode=code, stdout=said, stderr="ERROR: [039]: HTTP request failed with 403 (Forbidden)")

        names = ("0000000A.history", "00000003.history", "0000000F.history.old", ".")
        for code, files, expected in [
            (0, json.dumps({name: {"type": "file"} for name in names}), restore_branch.Branch(10, {1: 0x6000000})),
            (0, "{}", restore_branch.ONLY),
            (39, "", None),
        ]:
            asked = []
            with self.subTest(files), mock.patch.object(restore_branch, "run", answer):
                if expected is None:
                    with self.assertRaises(Problem) as caught:
                        restore_source._read_branch(SOURCE, "/run/pgbackrest.conf", "", "17-1")
                    self.assertIn("s3://backups/production/orders cannot be read: access", caught.exception.message)
                    continue
                self.assertEqual(restore_source._read_branch(SOURCE, "/run/pgbackrest.conf", "", "17-1"), expected)
            self.assertIn("archive/orders/17-1", asked[0])
            if expected.timeline:
                self.assertEqual(asked[1][-2:], ["repo-get", "archive/orders/17-1/0000000A.history"])
        with self.assertRaises(ValueError):
            restore_branch.read_branch([], "orders", "17-1/..")

    def test_a_time_outside_the_window_is_refused_with_the_window(self):
        early = self.refuse(self.TWO, END - 2 * 86400, archived=END + 8)
        self.assertEqual(
            early,
            "s3://backups/production/orders cannot be restored to 2026-11-25 00:46:03 UTC: its backups allow times from 2026-11-26 "
            "00:46:04 UTC (the end of the oldest backup) to 2026-11-27 00:46:11 UTC (its newest WAL). Change restore.time",
        )
        self.assertIn("in the future (it is 2026-11-27 01:46:03 UTC)", self.refuse(self.TWO, END + 7200))
        # Clocks differ a little.
        self.choose(self.TWO, END + 3630)

    def test_of_the_database_that_the_backup_is_from(self):
        # After an upgrade of the source. The newest WAL of another database says nothing about a gap.
        archive = [{"database": {"id": number}, "max": "0000000%d0000000000000009" % number} for number in (1, 2)]
        db = [{"id": 1, "version": "16"}, {"id": 2, "version": "17"}]
        document = {**self.TWO, "archive": archive, "db": db}
        choice = self.choose(document, None)
        self.assertEqual((choice.major, choice.newest), ("16", "000000010000000000000009"))
        with self.assertRaises(Problem) as caught:
            restore_source.require_major(SOURCE, choice, "postgres:17", 17)
        self.assertIn("are PostgreSQL 16's, and the image postgres:17 is PostgreSQL 17", caught.exception.message)

    def test_says_what_is_missing(self):
        for document, expected in [
            (stanza(code=1, message="missing stanza path"), "holds no backups of a cluster orders"),
            (stanza(code=2, message="no valid backups"), "holds no complete backup yet"),
            (stanza(backup("20261127-004601F", END), archive=[]), "holds no WAL"),
            (stanza(code=99, message="[FileReadError] HTTP request failed with 403 (Forbidden)"), "access to /production/orders in bucket backups is denied"),
            (stanza(code=99, message="HTTP request failed with 301: <Code>PermanentRedirect</Code>"), "it is in another region than the cluster"),
            (stanza(code=99, message="<Code>NoSuchBucket</Code>"), "correct `restore.from.bucket`"),
            (stanza(code=99, message="something else"), "s3://backups/production/orders cannot be read"),
            ({}, "cannot be read"),
        ]:
            self.assertIn(expected, self.refuse(document, None))

    def test_what_is_not_of_pgbackrest_is_refused(self):
        # Values of the bucket become arguments and parts of messages.
        for change in [
            {"label": "--type=xid"},
            {"label": "20261127-004601F\n::error::x"},
            {"timestamp": {"start": 1}},
            {"info": {"size": "much"}},
            {"archive": {"start": None}},
            {"database": {"id": 9}},
        ]:
            with self.subTest(change), self.assertRaises((Problem, ValueError, LookupError, TypeError, StopIteration)) as caught:
                self.choose(stanza(backup("20261127-004601F", END, **change)), None)
            self.assertNotIsInstance(caught.exception, StopIteration)
        for name in ("db", "archive"):
            document = stanza(backup("20261127-004601F", END))
            document[name][0].update(version="17; x", max="0" * 23 + ".")
            with self.subTest(name), self.assertRaises(ValueError):
                self.choose(document, None)

    def test_reads_times_with_their_zone(self):
        for text, expected in [
            (None, None),
            ("2026-11-27T00:46:03Z", END),
            ("2026-11-27T01:46:03+01:00", END),
            ("2026-11-27T00:46:03.25Z", END + 0.25),
        ]:
            self.assertEqual(restore_source.parse_time(text), expected)
        self.assertEqual(restore_source.render_target(END + 0.25), "2026-11-27 00:46:03.250000+00")
        # Not a microsecond too early or too late: that of a rehearsal is the moment after a commit, and another one follows.
        for fraction in [*range(0, 1000000, 997), 1, 999999]:
            moment = restore_source.parse_time("2036-11-27T00:46:03.%06dZ" % fraction)
            self.assertEqual(restore_source.render_target(moment), "2036-11-27 00:46:03.%06d+00" % fraction)
        for text in ("2026-11-27", "2026-11-27T00:46:03", "2026-13-27T00:46:03Z", "now'; --"):
            with self.assertRaises(Problem):
                restore_source.parse_time(text)


class Progress(unittest.TestCase):
    def test_of_the_files(self):
        parser = Restore({"total": 1000})
        for line in [
            "P00   INFO: repo1: restore backup set 20261127-004601F, recovery will start at 2026-11-27 00:46:01\n",
            "P01 DETAIL: restore file /d/base/5/2675 (bundle 1/0, 408KB, 40.25%) checksum e9b1e0e4f4eb5c7e2e8a5a3f\n",
            "P02 DETAIL: restore file /d/base/5/a (99.99%) name (0B, 40.25%)\n",
            "P01 DETAIL: restore file /d/base/5/1 (bundle 2/1, bi 8KB/16KB, 39.00%) checksum e9b1e0\n",
        ]:
            parser.take_line(line)
        self.assertEqual((parser.done, parser.total, parser.log), (402, 1000, ""))
        parser.take_line("P00  ERROR: [041]: unable to open file\n")
        self.assertEqual(parser.log, "P00  ERROR: [041]: unable to open file\n")


def recover(*lines, **stage):
    parser = Recovery({"newest": NEWEST, "ended": END, "hasTarget": False, **stage})
    for line in lines:
        parser.take_line(line + "\n")
    return parser


def restored(*numbers):
    return ['LOG:  restored log file "%024X" from archive' % (2**64 + number) for number in numbers]


BEFORE = "FATAL:  recovery ended before configured recovery target was reached"
COMMIT = "LOG:  last completed transaction was at log time 2026-11-27 00:47:03.5+00"


class Replay(unittest.TestCase):
    """A restore must not end early without a word: PostgreSQL calls the end of readable WAL a success."""

    def test_reports_segments_and_times(self):
        parser = recover(*restored(3, 4), "FATAL:  the database system is not yet accepting connections", "DETAIL:  x", "replayed up to 1795740400")
        self.assertEqual((parser.done, parser.total, parser.reached), (16 * 1024**2, 3 * 16 * 1024**2, 1795740400))
        self.assertEqual(parser.log, "")
        # How much WAL there is before a time is not known.
        self.assertIsNone(recover(*restored(3, 4), hasTarget=True).total)

    def test_everything_that_was_archived_must_be_replayed(self):
        self.assertIsNone(recover(*restored(3, 4, 5, 6)).find_fault(0))
        self.assertIsNone(recover(*restored(3, 7)).find_fault(0), "the source went on")
        fault = recover(*restored(3, 4), COMMIT).find_fault(0)
        self.assertEqual(
            fault,
            "its WAL cannot be read beyond 000000010000000000000004, and the archive has WAL up to 000000010000000000000006: a "
            "segment between them is missing or damaged. It can be restored with restore.time 2026-11-27 00:47:03 UTC or earlier",
        )
        # A backup from before the gap does not help, and the first one from after it does.
        later = [["%024X" % (2**64 + number), END + 100 * number] for number in (4, 6, 9)]
        for fault in (recover(*restored(3, 4), COMMIT, later=later).find_fault(0), recover(
            *restored(3, 4), COMMIT, 'FATAL:  could not restore file "000000010000000000000005" from archive: x', later=later
        ).explain()):
            self.assertRegex(fault, "restore.time 2026-11-27 00:47:03 UTC or earlier, or with one after 2026-11-27 00:56:03 UTC, the end of")
        # The target was reached: what comes after it does not matter.
        self.assertIsNone(recover(*restored(3, 4), hasTarget=True).find_fault(0))
        # The second attempt has no target.
        self.assertIsNotNone(recover(*restored(3, 4), hasTarget=True).find_fault(1))

    def test_without_a_later_commit_only_an_older_backup_helps(self):
        self.assertIn("a restore.time before the end of this backup (2026-11-27 00:46:03 UTC)", recover(*restored(3)).find_fault(0))

    def test_an_archive_that_fails_is_named(self):
        lost = 'FATAL:  could not restore file "%s" from archive: child process exited with exit code 255' % NEWEST
        failed = recover(*restored(3, 4), "replayed up to %d" % (END + 9), lost)
        self.assertFalse(failed.may_try_again(1))
        self.assertEqual(
            failed.explain(),
            "%s cannot be got from the archive. It can be restored with restore.time 2026-11-27 00:46:12 UTC or earlier" % NEWEST,
        )
        failed.take_line("ERROR: [042]: raised: unable to get it: [FormatError] zst error: [-10] Unknown frame descriptor\n")
        self.assertIn("%s is damaged in the archive" % NEWEST, failed.explain())

    def test_a_time_after_the_last_commit_is_restored_without_a_target(self):
        whole = recover(*restored(3, 4, 5, 6), COMMIT, BEFORE, hasTarget=True)
        self.assertTrue(whole.may_try_again(1))
        self.assertIsNone(whole.explain())
        gap = recover(*restored(3, 4), COMMIT, BEFORE, hasTarget=True)
        self.assertFalse(gap.may_try_again(1))
        self.assertIn("cannot be read beyond 000000010000000000000004", gap.explain())
        self.assertFalse(recover(*restored(3, 4, 5, 6), "FATAL:  something else", hasTarget=True).may_try_again(1))

    def test_describes_what_was_reached(self):
        parser = recover(*restored(6), COMMIT, 'disabled subscriptions ["a", "b \\n\\" c"]')
        expected = {"lastCommit": END + 60, "metTarget": False, "subscriptions": ["a", 'b \n" c']}
        self.assertEqual(parser.describe(0), expected)
        found = recover(*restored(6), "disabled subscriptions []", hasTarget=True).describe(0)
        self.assertEqual(found, {"lastCommit": None, "metTarget": True, "subscriptions": []})
        notes = restore.describe(SPEC, SOURCE, None, expected)
        self.assertIn('subscriptions disabled: "a", "b \\n\\" c". ', notes[1])
        self.assertFalse(recover(*restored(6), hasTarget=True).describe(1)["metTarget"])


class Programs(unittest.TestCase):
    """The scripts, with programs that answer like the real ones."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.data = self.folder + "/data"
        os.mkdir(self.data)
        self.program("sleep", 'echo "$1" >>%s/slept; exec /bin/sleep 0.01' % self.folder)

    def program(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n%s\n" % text)
        os.chmod(path, 0o755)

    def run_script(self, arguments):
        env = dict(os.environ, PATH=self.folder + ":" + os.environ["PATH"])
        return subprocess.run(["sh", *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)

    def read(self, name):
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def get_wal(self, *codes):
        """Returns how restore_command ends if pgBackRest ends with these codes, the last one for ever."""
        cases = "".join("%d) exit %d ;; " % item for item in enumerate(codes, 1))
        text = "echo x >>%s/calls; case $(wc -l <%s/calls) in %s *) exit %d ;; esac"
        self.program("pgbackrest", text % (self.folder, self.folder, cases, codes[-1]))
        script = restore_stages.RESTORE_WAL_TEXT.replace(restore_source.TOOLS, self.folder)
        return self.run_script(["-c", script, "sh", "orders", NEWEST, "pg_wal/RECOVERYXLOG"]).returncode

    def test_a_failure_of_the_archive_is_not_its_end(self):
        self.assertEqual(self.get_wal(0), 0)
        os.remove(self.folder + "/calls")
        self.assertEqual(self.get_wal(1), 1)
        os.remove(self.folder + "/calls")
        # An S3 server that is down for a moment.
        self.assertEqual(self.get_wal(103, 49, 0), 0)
        os.remove(self.folder + "/calls")
        # PostgreSQL would take a code up to 125 for a file that does not exist, and would be promoted.
        self.assertEqual(self.get_wal(103), 255)
        self.assertEqual(len(self.read("calls").splitlines()), restore_stages.WAL_TRIES)

    def recover(self, answers, ending="exit 0", control=(100, 100), target=None):
        """`answers`: of the server, one for each question; `ending`: of the server without a stop; `control`:
        max_connections at each start."""
        lists = "".join("%d) echo '%s' ;; " % (number, answer) for number, answer in enumerate(answers, 1))
        self.program("psql", "echo x >>%s/asked; case $(wc -l <%s/asked) in %s *) exit 2 ;; esac" % (self.folder, self.folder, lists))
        values = "".join("%d) value=%d ;; " % (number, value) for number, value in enumerate(control, 1))
        text = (
            "echo x >>%s/looked; case $(wc -l <%s/looked) in %s esac\n"
            "printf 'pg_control version number:            1700\\nmax_connections setting:              %%s\\nmax_locks_per_xact setting: 64\\n' $value"
        )
        self.program("pg_controldata", text % (self.folder, self.folder, values))
        ends = "until [ -e %s/stop ]; do /bin/sleep 0.01; done; rm %s/stop; exit 0" % (self.folder, self.folder)
        self.program("postgres", 'echo "$@" >>%s/started\n%s' % (self.folder, ends if ending == "exit 0" else ending))
        self.program("pg_ctl", 'echo "$@" >>%s/stopped; touch %s/stop' % (self.folder, self.folder))
        arguments = restore_stages.list_recovery_arguments(SPEC, IMAGE, target)
        script = arguments[arguments.index(IMAGE.pinned) + 1 :]
        script[3] = self.data
        script[1] = script[1] if script[0] == "-c" else self.fail()
        # A file of its own for each test.
        script[1] = script[1].replace("/tmp/", self.folder + "/")
        return self.run_script(script)

    def test_a_promoted_server_is_shut_down(self):
        done = self.recover(["t f 1795740400", "f f 0", '["s"]'], target="2026-11-27 00:46:03.000000+00")
        self.assertEqual((done.returncode, done.stderr), (0, b'replayed up to 1795740400\ndisabled subscriptions ["s"]\n'))
        started = self.read("started")
        self.assertIn("-c recovery_target_time=2026-11-27 00:46:03.000000+00 -c max_connections=100 -c max_locks_per_transaction=64", started)
        self.assertIn("--mode=fast --timeout=86400 stop", self.read("stopped"))
        self.assertTrue(os.path.exists(self.data + "/recovery.signal"))

    def test_a_server_that_ends_is_a_failure(self):
        self.assertEqual(self.recover([], ending="echo 'FATAL:  no' >&2; exit 1").returncode, 1)

    def test_replay_that_waits_for_higher_settings_goes_on_with_them(self):
        # The source was restarted with more connections after the backup.
        done = self.recover(["t t 1795740400", "f f 0", "[]"], control=(100, 300))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([line.split("max_connections=")[1][:3] for line in self.read("started").splitlines()], ["100", "300"])

    def test_replay_that_is_paused_for_another_reason_is_a_failure(self):
        self.assertEqual(self.recover(["t t 1795740400", "t t 1795740400"], control=(100, 100)).returncode, 3)

    def test_the_settings_of_alter_system_do_not_apply(self):
        auto, saved = (self.data + "/" + name for name in ("postgresql.auto.conf", restore_stages.SAVED_AUTO_CONF))
        with open(auto, "w", encoding="utf-8") as file:
            file.write("shared_preload_libraries = 'missing'\n")
        for _ in range(2):
            # Again at the second attempt, which must not lose what was saved.
            self.recover(["f f 0", "[]"])
            self.assertEqual(os.path.getsize(auto), 0)
            with open(saved, encoding="utf-8") as file:
                self.assertEqual(file.read(), "shared_preload_libraries = 'missing'\n")
            for name in ("asked", "looked"):
                os.remove(os.path.join(self.folder, name))


class Commands(unittest.TestCase):
    def test_nothing_leaves_the_temporary_server(self):
        with mock.patch.object(restore_stages, "read_memory_bytes", lambda: 4 * GIB):
            conf = restore_stages.render_recovery_conf(SOURCE).splitlines()
        for line in ("listen_addresses = ''", "archive_mode = 'off'", "shared_preload_libraries = ''", "shared_buffers = '1024MB'"):
            self.assertIn(line, conf)
        self.assertIn("""restore_command = 'sh /etc/postgresql-cluster/restore-wal orders "%f" "%p"'""", conf)

    def test_two_stages_of_which_the_second_follows_a_late_time_without_a_target(self):
        choice = restore_source.Choice("20261127-004601F", "17", 5 * GIB, NEWEST, END, False, [])
        files, recovery = restore_stages.list_stages(SPEC, IMAGE, SOURCE, choice, END + 60)
        self.assertEqual((files["kind"], files["total"], len(files["attempts"])), ("restore", 5 * GIB, 1))
        self.assertIn("--set=20261127-004601F", files["attempts"][0])
        self.assertEqual((recovery["kind"], recovery["newest"], recovery["hasTarget"]), ("recovery", NEWEST, True))
        self.assertEqual([attempt[-1] for attempt in recovery["attempts"]], ["2026-11-27 00:47:03.000000+00", ""])
        newest = restore_stages.list_stages(SPEC, IMAGE, SOURCE, choice, None)[1]
        self.assertEqual([attempt[-1] for attempt in newest["attempts"]], [""])
        for stage in (files, recovery):
            for attempt in stage["attempts"]:
                mounts = [attempt[index + 1] for index, word in enumerate(attempt) if word == "--mount"]
                writable = [mount for mount in mounts if mount.startswith("type=bind") and not mount.endswith(",readonly")]
                self.assertEqual(len(writable), 1, "only the new data directory is written")


PARAMETERS = {"source": "/production/orders", "bucket": "backups", "time": None, "digest": IMAGE.pinned}


def work(state, **change):
    now = int(time.time())
    found = Work(state, PARAMETERS, now - 9, now, 5, 9, None, "", False, "restore", {"label": "L", "lastCommit": END, "image": "w"})
    return found._replace(**change)


class Decision(unittest.TestCase):
    """What a call does with the data and the work that it finds. Invariant 7: data is never restored over."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.data, self.partial = self.root + "/data", self.root + "/data.partial"

    def call(self, found=None, then=("done",), at=None, record=None, old=(), identifier=77, own=None):
        done = []

        def require_own(spec, source, choice, conf, text):
            self.assertEqual((conf, text), ("[global]\n", "[own]\n"))
            if own is not None:
                raise Problem(own)

        looks = [found]
        states = list(then)
        if record is None and not os.path.isdir(self.data):
            os.makedirs(self.partial, exist_ok=True)

        def look(cluster):
            return looks.pop() if looks else work(states.pop(0) if len(states) > 1 else states[0])

        class Answers:
            def __init__(self, container):
                pass

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def ask(self, sql):
                return "C.UTF-8", "77"

        def write(path, text):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

        def start(*arguments):
            # What is not in the list does not come back.
            self.assertLessEqual(set(arguments[-1]), set(FOUND))
            done.append("start")

        patches = {
            "DATA": self.data,
            "PARTIAL": self.partial,
            "ROOT": self.root,
            "RESTORED": self.root + "/restored.json",
            "VERIFIED": self.root + "/verified.json",
            "write_text": write,
            "require_mounted": lambda cluster: None,
            "read_record": lambda: record,
            "judge_data": lambda: "absent" if record is None else "complete",
            "list_old_data": lambda: list(old),
            "ensure_image": lambda reference: (IMAGE, False),
            "find_work": look,
            "await_copy": self.await_copy,
            "forget_work": lambda: done.append("forget"),
            "end_work": lambda cluster: done.append("end"),
            "write_folder": lambda *_: None,
            "choose_backup": lambda source, conf, moment: restore_source.Choice("L", "17", GIB, NEWEST, END, False, []),
            "measure_space": lambda path: Space(20 * GIB, 0, 20 * GIB),
            "require_own_repository": require_own,
            "start_work": start,
            "read_head": lambda directory: Control(identifier, "shut down", 1, 2),
            "write_files": lambda spec, image: [],
            "ensure_container": lambda spec, image: bool(done.append("run the server")),
            "wait_until_ready": lambda spec: None,
            "write_record": lambda *arguments: done.append("record " + arguments[-1]),
            "Session": Answers,
            "note_order": lambda spec, image, writer: ["sorted by " + writer],
            "read_limits": dict,
        }
        self.look = look
        with mock.patch.multiple(restore, **patches), mock.patch.object(restore_stages, "read_memory_bytes", lambda: GIB):
            try:
                self.notes = restore.restore(SPEC, FROM, at, "[global]\n", "[own]\n").notes
            except Pending:
                done.append("pending")
            finally:
                self.done = done
        return done

    def await_copy(self, spec):
        found = self.look(spec.cluster)
        if found.state == "running":
            raise Pending()
        return found

    IN_PLACE = ["forget", "run the server", "record 77"]

    def test_restores_and_puts_in_place(self):
        self.assertEqual(self.call(), ["forget", "start", *self.IN_PLACE])
        self.assertTrue(os.path.isdir(self.data) and not os.path.exists(self.partial))
        self.assertIn("the last transaction in it was committed at 2026-11-27 00:46:03 UTC", self.notes[0])
        with open(self.root + "/restored.json", encoding="utf-8") as file:
            restored = json.load(file)
        self.assertEqual((restored["seconds"], restored["lastCommit"]), (9, END))

    def test_a_restore_that_lasts_longer_than_the_call_is_pending_and_is_adopted(self):
        self.assertEqual(self.call(then=["running"]), ["forget", "start", "pending"])
        self.assertEqual(self.call(work("running"), then=["running"]), ["pending"])
        self.assertEqual(self.call(work("done", ended=0)), self.IN_PLACE)

    def test_nothing_is_restored_for_a_cluster_that_could_not_archive(self):
        with self.assertRaises(Problem):
            self.call(own="the place is taken")
        self.assertEqual(self.done, ["forget", "end", "forget"])
        self.assertFalse(os.path.exists(self.data))

    def test_other_work_is_ended(self):
        for other in (work("running", kind="clone"), work("done", parameters={**PARAMETERS, "source": "/other"})):
            self.assertEqual(self.call(other, then=["running"]), ["end", "forget", "start", "pending"])

    def test_starts_over_after_a_cut_or_a_failure_that_nobody_saw(self):
        for found in (work("failed", problem=CUT), work("failed", problem="no room", ended=0)):
            self.assertEqual(self.call(found, then=["running"]), ["end", "forget", "start", "pending"])

    def test_reports_a_failure(self):
        failed = work("failed", problem="node-1 cannot restore it", log="HTTP request failed with 403 (Forbidden)")
        with self.assertRaises(Problem) as caught:
            self.call(failed)
        self.assertIn("node-1 cannot restore it. s3://backups/production/orders cannot be read: access to", caught.exception.message)

    def test_data_that_was_put_in_place_without_its_record_is_recognised(self):
        self.call()
        # Killed before the record was written.
        self.assertEqual(self.call(then=[]), self.IN_PLACE)
        self.assertIn("was restored from backup L", self.notes[0])
        self.assertEqual(self.notes[1:], ["sorted by w"])

    def test_other_data_is_refused(self):
        os.mkdir(self.data)
        with self.assertRaises(Problem):
            self.call()
        os.rmdir(self.data)
        self.call()
        for change in ({"identifier": 78}, {"at": "2026-11-27T00:46:05Z"}, {"record": {"systemIdentifier": "78"}}):
            with self.subTest(change), self.assertRaises(Problem) as caught:
                self.call(**change)
            self.assertIn("holds data", caught.exception.message)

    def test_data_that_was_moved_aside_is_refused(self):
        with self.assertRaises(Problem):
            self.call(old=["/var/lib/postgresql-cluster/data.old-20261101T000000Z"])

    def test_a_call_after_the_end_changes_nothing(self):
        self.call()
        record = {"systemIdentifier": "77", "digest": IMAGE.pinned, "image": "postgres:17"}
        self.assertEqual(self.call(record=record), ["run the server"])

    def test_names_what_alter_system_had_set_and_no_value(self):
        notes = restore.describe_overrides(SPEC, "# c\nwork_mem = '5MB'\nprimary_conninfo = 'password=secret'\nplv8.x = '1'\n")
        self.assertIn("in the source: plv8.x, primary_conninfo, work_mem.", notes[0])
        self.assertNotIn("secret", json.dumps(notes))

    def test_a_database_that_does_not_fit_is_refused_with_numbers(self):
        choice = restore_source.Choice("L", "17", 30 * GIB, NEWEST, END, False, [])
        patches = {"measure_space": lambda path: Space(20 * GIB, GIB, 19 * GIB), "measure_directory": lambda path: 0}
        with mock.patch.multiple(restore, **patches), self.assertRaises(Problem) as caught:
            restore.require_space(SPEC, SOURCE, choice)
        self.assertIn("is 30 GiB large, and the volume of node-1 (20 GiB) has room for 18.8 GiB", caught.exception.message)


if __name__ == "__main__":
    unittest.main()
