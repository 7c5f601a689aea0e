import os
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import basebackup, clone
from postgres_cluster.command import Pending, Problem
from postgres_cluster.image import Image
from postgres_cluster.sizes import Space
from postgres_cluster.spec import Outcome, Spec, slot_name
from postgres_cluster.work import CUT, Work

IMAGE = Image("postgres@sha256:aa", 999, 999, 17, "glibc", ["/var/lib/postgresql/data"])
SPEC = Spec("orders", "node-2", "postgres:17", [], None, None, "", "", "node-1", "10.42.0.11")
FROM_REPLICA = SPEC._replace(copied="node-3", copied_address="10.42.0.13")

# Programs that answer like a server's, or print their arguments.
PSQL = """#!/bin/sh
case "$*" in
  *SHOW*) printf '%s\\n' "$NAMES" ;;
  *"host=10.42.0.11 "*IDENTIFY*) printf '7 1 %s \\n' "$PRIMARY" ;;
  *IDENTIFY*) printf '%s 1 %s \\n' "$SYSTEM" "$REPLICA" ;;
  *) printf 'ERROR:  42710\\n' >&2; exit 1 ;;
esac
"""
BASEBACKUP = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done
"""
SLEEP = """#!/bin/sh
"""


class Copy(unittest.TestCase):
    """Invariant 8: a copy in progress acknowledges no commit."""

    def run_script(self, spec=SPEC, options=None, **env):
        arguments = basebackup.list_copy_arguments(spec, IMAGE, options)
        script = arguments[arguments.index("sh") + 1 + len(["image"]) :]
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("psql", PSQL), ("pg_basebackup", BASEBACKUP), ("sleep", SLEEP)):
                path = os.path.join(folder, name)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                os.chmod(path, 0o755)
            env = dict(os.environ, PATH=folder + ":" + os.environ["PATH"], **env)
            return subprocess.run(["sh", *script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def list_words(self, names):
        done = self.run_script(NAMES=names)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode("utf-8").splitlines()

    def test_its_name_is_in_no_list_of_standbys(self):
        words = self.list_words("ANY 1 (node_1, node_2, node_3)")
        conninfo = words[words.index("-d") + 1]
        self.assertIn("application_name='clone of node_2' ", conninfo)
        self.assertNotIn("application_name=%s" % slot_name(SPEC.node), conninfo)
        self.assertIn("--slot=node_2", words)

    def test_it_notices_a_source_that_vanished(self):
        # Without them, only after the kernel's two hours; meanwhile the copy seems to run.
        words = self.list_words("")
        conninfo = words[words.index("-d") + 1]
        self.assertIn(" keepalives_idle=", conninfo)

    def test_it_uses_no_slot_if_any_name_may_acknowledge(self):
        for names, expected in [
            ("", "--slot=node_2"),
            ("ANY 1 (node_1, node_2)", "--slot=node_2"),
            ("*", "--no-slot"),
            ("ANY 1 (*)", "--no-slot"),
            ('FIRST 1 (node_3, "*")', "--no-slot"),
        ]:
            with self.subTest(names):
                slots = [word for word in self.list_words(names) if "slot" in word and "host=" not in word]
                self.assertEqual(slots, [expected])

    def test_a_replica_is_copied_with_a_slot_of_its_own_once_it_has_what_the_primary_had(self):
        # Positions are numbers: as text, 0/9000000 would be greater than 0/10000000.
        for replica in ("0/10000000", "0/10000001", "1/0"):
            done = self.run_script(FROM_REPLICA, ["--max-rate=32"], PRIMARY="0/10000000", REPLICA=replica, SYSTEM="7")
            words = done.stdout.decode("utf-8").splitlines()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("host=10.42.0.13 ", words[words.index("-d") + 1])
            self.assertEqual([word for word in words if word.startswith(("--slot", "--no-slot"))], [])
            self.assertIn("--max-rate=32", words)

    def test_a_replica_that_is_behind_or_of_another_cluster_is_not_copied(self):
        for replica, system, reason in [("0/9000000", "7", b"behind the primary"), ("0/10000000", "8", b"another system")]:
            done = self.run_script(FROM_REPLICA, PRIMARY="0/10000000", REPLICA=replica, SYSTEM=system)
            self.assertEqual((done.returncode, done.stdout), (3, b""))
            self.assertIn(reason, done.stderr)

    def test_a_limited_copy_is_compressed_if_both_sides_can(self):
        def list_options(**change):
            attempts = basebackup.list_attempts(SPEC._replace(**change), image)
            return [[word for word in words if word.startswith(("--max-rate", "--compress"))] for words in attempts]

        image = IMAGE
        self.assertEqual(list_options(), [[]])
        rate = "--max-rate=1024"
        expected = [[rate, "--compress=server-zstd"], [rate, "--compress=server-lz4"], [rate]]
        self.assertEqual(list_options(max_rate=1024), expected)
        # Its server compresses nothing (PostgreSQL 15, release notes).
        image = IMAGE._replace(major=14)
        self.assertEqual(list_options(max_rate=1024), [[rate]])


PARAMETERS = {"source": "10.42.0.11", "slot": "node_2", "digest": IMAGE.pinned, "systemIdentifier": None}


def work(state, **change):
    now = int(time.time())
    found = Work(state, PARAMETERS, now - 9, now, 5, 9, None, "", True)
    return found._replace(**change)


class Decision(unittest.TestCase):
    """What a call does with the work that it finds. The copy must not be made twice, nor be given up for nothing."""

    def call(self, found, then=("done",), data="complete", **change):
        """`found`: the work at the start; `then`: its states afterwards. Returns what was done."""
        done = []
        states = [work(state) for state in then]
        spec = SPEC._replace(source={"image": "postgres:17", "digest": IMAGE.pinned}, step="clone", deadline=0.0, **change)
        looks = [found]

        def look(cluster):
            return looks.pop() if looks else states.pop(0) if len(states) > 1 else states[0]

        with mock.patch.multiple(
            clone,
            require_mounted=lambda cluster: None,
            read_role=lambda spec: None,
            inspect_container=lambda name: None,
            require_role=lambda spec, role: None,
            ensure_image=lambda digest: (IMAGE, False),
            judge_data=lambda: data,
            is_standby=lambda: True,
            find_work=look,
            forget_work=lambda: done.append("forget"),
            end_work=lambda cluster: done.append("end"),
            write_files=lambda spec, image: [],
            stop=lambda spec: done.append("stop"),
            remove_container=lambda name: None,
            start_work=lambda *arguments: done.append("start, had a server: %s" % arguments[-1]),
            has_waiting_run=lambda: False,
            put_in_place=lambda: done.append("put in place"),
            ensure_container=lambda spec, image: done.append("run the server"),
            _finish=lambda spec, image, notes: Outcome(True, notes=notes),
        ), mock.patch.object(clone.time, "sleep", lambda seconds: None):
            try:
                self.notes = clone.clone(spec).notes
            except Pending:
                done.append("pending")
        return done

    IN_PLACE = ["stop", "put in place", "forget", "run the server"]

    def test_starts_a_copy_and_puts_it_in_place(self):
        self.assertEqual(self.call(None), ["forget", "stop", "start, had a server: False", *self.IN_PLACE])

    def test_a_copy_that_lasts_longer_than_the_call_is_pending(self):
        done = self.call(None, then=["running"])
        self.assertEqual(done, ["forget", "stop", "start, had a server: False", "pending"])

    def test_adopts_a_running_copy(self):
        self.assertEqual(self.call(work("running"), then=["running"]), ["pending"])
        self.assertEqual(self.call(work("running")), self.IN_PLACE)

    def test_puts_a_copy_in_place_that_ended_while_nobody_watched(self):
        self.assertEqual(self.call(work("done", ended=0)), self.IN_PLACE)

    def test_a_copy_of_something_else_is_ended_and_started_over(self):
        for name, value in [("source", "10.42.0.13"), ("slot", "node_9"), ("digest", "postgres@sha256:bb")]:
            with self.subTest(name):
                for state in ("running", "done", "failed"):
                    other = work(state, parameters={**PARAMETERS, name: value})
                    done = self.call(other, then=["running"])
                    self.assertEqual(done, ["end", "forget", "stop", "start, had a server: True", "pending"])

    def test_the_system_identifier_is_compared_if_both_are_known(self):
        for here, there, expected in [("7", "7", True), ("7", "8", False), ("7", None, True), (None, "8", True)]:
            same = clone.is_same({**PARAMETERS, "systemIdentifier": here}, {**PARAMETERS, "systemIdentifier": there})
            self.assertEqual(same, expected)

    def test_reports_a_failure_and_starts_the_old_data_again(self):
        done = []
        with mock.patch.multiple(
            clone,
            end_work=lambda cluster: done.append("end"),
            judge_data=lambda: "complete",
            ensure_container=lambda spec, image: done.append("run the server"),
        ), self.assertRaises(Problem) as caught:
            clone.collect_failure(SPEC, IMAGE, work("failed", problem="no room", log="x"))
        self.assertEqual((caught.exception.message, caught.exception.log), ("no room", "x"))
        self.assertEqual(done, ["end", "run the server"])

    def test_a_failure_of_this_call_is_reported_at_once(self):
        with self.assertRaises(Problem):
            self.call(None, then=["failed"])

    def test_does_not_start_data_that_was_never_complete(self):
        done = []
        with mock.patch.multiple(
            clone,
            end_work=lambda cluster: None,
            judge_data=lambda: "absent",
            ensure_container=lambda spec, image: done.append("run the server"),
        ), self.assertRaises(Problem):
            clone.collect_failure(SPEC, IMAGE, work("failed", problem="no room"))
        self.assertEqual(done, [])

    def test_starts_over_after_a_cut_or_a_failure_that_nobody_saw(self):
        for found in (work("failed", problem=CUT), work("failed", problem="no room", ended=0)):
            with self.subTest(found.problem):
                done = self.call(found)
                self.assertEqual(done, ["end", "forget", "stop", "start, had a server: True", *self.IN_PLACE])
                self.assertIn(found.problem, self.notes[0])


class Room(unittest.TestCase):
    GIB = 1024**3

    def require(self, needed, free, partial=0):
        with mock.patch.multiple(
            clone,
            measure_space=lambda path: Space(20 * self.GIB, 20 * self.GIB - free, free),
            measure_directory=lambda path: partial,
        ):
            clone.require_space(SPEC._replace(needed_bytes=needed))

    def test_a_copy_that_does_not_fit_is_refused_with_numbers(self):
        with self.assertRaises(Problem) as caught:
            self.require(12 * self.GIB, 8 * self.GIB)
        self.assertEqual(
            caught.exception.message,
            "a copy of node-1 needs about 12 GiB, and the volume of node-2 (20 GiB) has room for 7.8 GiB beside its own "
            "data; nothing was changed. Make the volume larger, or delete data on it",
        )

    def test_an_unfinished_copy_makes_room(self):
        self.require(12 * self.GIB, 8 * self.GIB, partial=6 * self.GIB)

    def test_an_unknown_size_is_not_compared(self):
        self.require(None, 0)


if __name__ == "__main__":
    unittest.main()
