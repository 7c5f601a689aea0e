import os
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import backup, backup_state, files
from postgres_cluster.command import Pending, Problem
from postgres_cluster.spec import Spec, leaves_work


class Step(unittest.TestCase):
    """A node whose unit is played by `runs`: functions that are called once per look at it, until they return False."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.role = "primary"
        self.archives = self.installed = True
        self.waiting = False
        self.starts = 0
        self.active = False
        # What the unit does at each look, as long as it is active.
        self.script = []

        def write(path, text, mode=0o644, owner=None):
            return files.write_text(path, text, mode, (os.getuid(), os.getgid()))

        def is_active(cluster):
            was_active = self.active
            if was_active and self.script:
                self.script.pop(0)()
            return was_active

        def run(argv, **_):
            self.assertEqual(argv, ["systemctl", "start", "--no-block", "postgres-cluster-orders-backup.service"])
            self.starts += 1
            self.active = True
            self.begin()

        paths = {name: "%s/%s.json" % (self.folder, name.lower()) for name in ("ORDER", "WATCHED")}
        state = {"STATE": self.folder + "/state.json", "RUN": self.folder, "write_text": write}
        names = {
            **paths,
            "is_active": is_active,
            "run": run,
            "read_role": lambda spec: self.role,
            "is_archiving": lambda: self.archives,
            "has_waiting_run": lambda: self.waiting,
        }
        for patch in (
            mock.patch.multiple(backup_state, **state, **paths),
            mock.patch.multiple(backup, **names),
            mock.patch.object(backup.backup_unit, "is_installed", lambda cluster: self.installed),
            mock.patch.object(backup.time, "sleep", lambda seconds: None),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def begin(self):
        """The unit has been started: by default it takes the order, makes the backup, and ends."""
        self.script = [self.take, lambda: self.end(), self.leave]

    def take(self, kind=None):
        order = backup_state.take_order() or {"id": None, "type": kind}
        running = {"type": order["type"], "started": int(time.time()), "order": order["id"]}
        backup_state.write_state({"cluster": "orders", "running": running})

    def end(self, problem=None, **more):
        state = backup_state.read_state("orders")
        last = {**state["running"], "ended": int(time.time()), "problem": problem, **more}
        backup_state.write_state({"cluster": "orders", "running": None, "last": last})

    def leave(self):
        self.active = False

    def make(self, kind="full", deadline=None):
        spec = Spec("orders", "node-1", "postgres:17", [], None, None, "", "", primary="node-1", deadline=deadline)
        return backup.backup(spec, kind)

    def test_a_backup(self):
        outcome = self.make()
        self.assertTrue(outcome.changed)
        self.assertEqual(outcome.notes, [])
        self.assertEqual(self.starts, 1)
        self.assertIsNone(files.read_json(self.folder + "/watched.json"))

    def test_the_next_step_makes_another_one(self):
        self.make()
        self.leave()
        self.make()
        self.assertEqual(self.starts, 2)

    def test_refusals(self):
        for name, value in (("role", "replica"), ("role", None), ("archives", False), ("installed", False)):
            before = getattr(self, name)
            setattr(self, name, value)
            with self.subTest(name, value=value), self.assertRaises(Problem) as caught:
                self.make()
            self.assertIn("node-1", caught.exception.message)
            setattr(self, name, before)
        self.assertEqual(self.starts, 0)

    def test_a_failure_is_a_problem_with_pgbackrests_log(self):
        self.begin = lambda: setattr(self, "script", [self.take, lambda: self.end("the bucket is gone", log="P00 ERROR"), self.leave])
        with self.assertRaises(Problem) as caught:
            self.make()
        self.assertIn("the bucket is gone", caught.exception.message)
        self.assertEqual(caught.exception.log, "P00 ERROR")
        self.leave()
        self.begin = lambda: setattr(self, "script", [self.take, lambda: self.end(), self.leave])
        self.make()
        self.assertEqual(self.starts, 2)

    def test_what_could_not_be_expired_is_a_note(self):
        self.begin = lambda: setattr(self, "script", [self.take, lambda: self.end(note="what has expired stays"), self.leave])
        self.assertIn("what has expired stays", self.make().notes[0])

    def test_a_later_call_goes_on_with_the_backup(self):
        self.begin = lambda: setattr(self, "script", [self.take])
        with self.assertRaises(Pending):
            self.make(deadline=time.monotonic() - 1)
        with self.assertRaises(Pending):
            self.make(deadline=time.monotonic() - 1)
        self.end()
        self.leave()
        self.assertTrue(self.make().changed)
        self.assertEqual(self.starts, 1)

    def test_the_failure_between_two_calls_is_reported(self):
        self.begin = lambda: setattr(self, "script", [self.take])
        with self.assertRaises(Pending):
            self.make(deadline=time.monotonic() - 1)
            self.make(deadline=time.monotonic() - 1)
        self.take_and_end_with("the bucket is gone")
        with self.assertRaises(Problem) as caught:
            self.make()
        self.assertIn("the bucket is gone", caught.exception.message)

    def take_and_end_with(self, problem):
        self.take()
        self.end(problem)
        self.leave()

    def test_a_run_of_the_timer_is_adopted(self):
        for running, wanted in (("full", "full"), ("full", "incremental"), ("incremental", "incremental")):
            with self.subTest(running, wanted=wanted):
                self.active, self.starts = True, 0
                self.take(running)
                self.script = [lambda: None, lambda: None, self.end, self.leave]
                self.assertTrue(self.make(wanted).changed)
                self.assertEqual(self.starts, 0)

    def test_an_incremental_one_of_the_timer_is_waited_for_before_a_full_one(self):
        self.active = True
        self.take("incremental")
        self.script = [lambda: None, self.end, self.leave]
        self.make("full")
        self.assertEqual(self.starts, 1)
        self.assertEqual(backup_state.read_state("orders")["last"]["type"], "full")

    def test_a_run_that_ends_before_it_reads_the_order_is_started_again(self):
        def begin():
            self.script = [self.leave] if self.starts < 3 else [self.take, self.end, self.leave]

        self.begin = begin
        self.assertTrue(self.make().changed)
        self.assertEqual(self.starts, 3)

    def test_a_unit_that_does_not_start_is_a_problem(self):
        self.begin = self.leave
        with self.assertRaises(Problem) as caught:
            self.make()
        self.assertIn("journalctl -u postgres-cluster-orders-backup.service", caught.exception.message)

    def test_a_killed_run_is_a_problem_and_the_next_call_begins_again(self):
        self.begin = lambda: setattr(self, "script", [self.take, self.leave])
        with self.assertRaises(Problem) as caught:
            self.make()
        self.assertIn("cut short", caught.exception.message)
        self.begin = lambda: setattr(self, "script", [self.take, self.end, self.leave])
        self.assertTrue(self.make().changed)

    def test_what_a_cancelled_deploy_left_is_not_taken_for_todays_backup(self):
        self.begin = lambda: setattr(self, "script", [self.take])
        with self.assertRaises(Pending):
            self.make(deadline=time.monotonic() - 1)
        self.take()
        self.end()
        self.leave()
        state = backup_state.read_state("orders")
        state["last"]["ended"] -= 3600
        backup_state.write_state(state)
        self.begin = lambda: setattr(self, "script", [self.take, self.end, self.leave])
        self.make()
        self.assertEqual(self.starts, 2)

    def test_a_run_of_the_timer_after_a_cancelled_deploy_is_adopted(self):
        backup_state.write_watched({"order": "of yesterday"})
        self.active = True
        self.take("full")
        self.script = [lambda: None, lambda: None, self.end, self.leave]
        self.assertTrue(self.make().changed)
        self.assertEqual(self.starts, 0)

    def test_another_run_ends_the_wait_and_not_the_backup(self):
        self.begin = lambda: setattr(self, "script", [self.take])
        self.waiting = True
        with self.assertRaises(Problem):
            self.make()
        with self.assertRaises(Pending):
            self.make(deadline=time.monotonic() + 60)
        self.assertTrue(self.active)

    def test_it_leaves_a_copy_alone(self):
        self.assertTrue(leaves_work("backup"))


if __name__ == "__main__":
    unittest.main()
