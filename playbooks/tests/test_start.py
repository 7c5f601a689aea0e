import json
import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import clone, restart, start
from postgres_cluster.command import Pending, Problem
from postgres_cluster.container import LABEL_IMAGE
from postgres_cluster.image import Image
from postgres_cluster.server import Ended, StillStarting
from postgres_cluster.spec import Outcome, Spec

IMAGE = Image("postgres@sha256:bb", 999, 999, 17, "glibc", [])
OLD = IMAGE._replace(pinned="postgres@sha256:aa")
SPEC = Spec("orders", "node-1", "postgres:17-2", [], None, None, "new", "hba", "node-1", "10.42.0.11")
BEFORE = {"postgresql.conf": "old", "pg_hba.conf": "hba"}
UP = {"State": {"Running": True, "Restarting": False}, "Config": {"Labels": {}}}


class GoBack(unittest.TestCase):
    """A failed start is rolled back: the files, the image and the container's options."""

    def setUp(self):
        self.done = []
        # The results of the waits in order; None: the server is up.
        self.ends = []
        self.aside = None

    def wait(self, spec):
        self.deadlines.append(spec.deadline)
        end = self.ends.pop(0)
        if end is not None:
            raise end

    def run_it(self, argv, **options):
        self.done.append(" ".join(argv[1:4]))

    def start(self, ends, image=IMAGE, before=BEFORE, aside=None, found=None):
        self.done, self.ends, self.deadlines = [], list(ends), []
        labels = {"Config": {"Labels": {LABEL_IMAGE: json.dumps(aside._asdict())}}} if aside else None

        def ensure(spec, image, keep=False):
            self.done.append("ensure %s" % image.pinned[-2:])
            return True

        with mock.patch.multiple(
            start,
            ensure_container=ensure,
            wait_until_ready=self.wait,
            inspect_container=lambda name: labels if name.endswith("-before") else found,
            bring_back=lambda aside, name: self.done.append("bring back %s" % name),
            write_text=lambda path, text: self.done.append("write %s" % text),
            read_record=lambda: {"digest": OLD.pinned},
            choose_recorded_image=lambda spec: OLD,
            run=self.run_it,
        ):
            return start.start_or_roll_back(SPEC._replace(deadline=15.0), image, before)

    def fail(self, *arguments, kind=Problem, **options):
        with self.assertRaises(kind) as caught:
            self.start(*arguments, **options)
        return caught.exception

    def test_keeps_the_new_state_of_a_server_that_comes_up(self):
        self.assertTrue(self.start([None]))
        self.assertEqual(self.done, ["ensure bb"])

    def test_waits_as_long_as_it_takes_if_it_may_have_to_restore_something(self):
        same = {"postgresql.conf": "new", "pg_hba.conf": "hba"}
        for before, aside, expected in [(same, None, 15.0), (BEFORE, None, None), (same, OLD, None)]:
            with self.subTest(before, aside=aside):
                self.start([None], before=before, aside=aside)
                self.assertEqual(self.deadlines, [expected])

    def test_leaves_a_server_that_is_still_starting_alone(self):
        self.fail([StillStarting("still")], kind=StillStarting)
        self.assertEqual(self.done, ["ensure bb"])

    def test_restores_the_configuration(self):
        problem = self.fail([Ended("ended", "FATAL:  no"), None], image=OLD)
        self.assertEqual(
            problem.message,
            "PostgreSQL on node-1 does not start with the new configuration; it runs with the old one again",
        )
        self.assertEqual(problem.log, "FATAL:  no")
        self.assertEqual(self.done, ["ensure aa", "stop --time 10", "write old", "write hba", "ensure aa"])

    def test_restores_the_image(self):
        before = {"postgresql.conf": "new", "pg_hba.conf": "hba"}
        for aside, back in [
            # The old container itself, even if a new one would differ.
            (OLD, ["bring back postgres-orders", "start postgres-orders"]),
            # Without the old container: the recorded image.
            (None, ["ensure aa"]),
        ]:
            with self.subTest(aside):
                problem = self.fail([Ended("ended"), None], before=before, aside=aside)
                self.assertEqual(
                    problem.message,
                    "PostgreSQL on node-1 does not start with image postgres:17-2; it runs with the old one again",
                )
                self.assertEqual(self.done[-len(back) :], back)

    def test_restores_the_configuration_and_the_image(self):
        problem = self.fail([Ended("ended"), None], aside=OLD)
        self.assertIn("with the new configuration and image postgres:17-2; it runs with the old ones", problem.message)

    def test_restores_the_container_options(self):
        before = {"postgresql.conf": "new", "pg_hba.conf": "hba"}
        problem = self.fail([Ended("ended"), None], image=OLD, before=before, aside=OLD)
        self.assertIn("with the new options of its container; it runs", problem.message)

    def test_raises_the_failure_if_nothing_has_changed(self):
        before = {"postgresql.conf": "new", "pg_hba.conf": "hba"}
        self.assertEqual(self.fail([Ended("ended")], image=OLD, before=before).message, "ended")
        self.assertEqual(self.done, ["ensure aa"])

    def test_says_if_the_restored_server_is_still_starting(self):
        problem = self.fail([Ended("ended", "1"), StillStarting("still", "2")], aside=OLD, kind=StillStarting)
        self.assertRegex(problem.message, "does not start with .*Its previous state was restored, but: still$")
        self.assertEqual(problem.log, "1\n2")


class Replica(unittest.TestCase):
    """Invariant 9: a healthy replica is not cloned again."""

    SPEC = SPEC._replace(node="node-2", source={"image": "postgres:17", "digest": OLD.pinned})

    def start(self, problem, found=None, copy=None):
        self.done = []

        def fail(*arguments):
            raise problem

        def note_copy(spec, skip_wait=False):
            self.done.append("clone %s" % skip_wait)
            return Outcome(True)

        with mock.patch.multiple(
            start,
            inspect_container=lambda name: found,
            _start_replica=fail,
            find_fault=lambda spec, image: None,
            ask_once=lambda container, sql: None,
            is_accepting=lambda: False,
            clone=copy or note_copy,
        ):
            start.start_server(self.SPEC, IMAGE)

    def test_does_not_clone_a_replica_that_is_still_starting(self):
        with self.assertRaises(StillStarting):
            self.start(StillStarting("still", "LOG:  redo in progress"))
        self.assertEqual(self.done, [])

    def test_clones_a_replica_that_can_never_follow(self):
        for problem in [
            Ended("ended"),
            Problem("does not receive its primary's changes"),
            StillStarting("still", "FATAL:  requested WAL segment 000000010000000000000003 has already been removed"),
        ]:
            with self.subTest(problem.message):
                self.start(problem)
                self.assertEqual(self.done, ["clone True"])

    def test_says_why_it_is_cloned_even_if_the_copy_outlasts_the_call(self):
        def copy(spec, skip_wait=False):
            raise Pending()

        notes = []
        with mock.patch.object(start, "notes", notes), self.assertRaises(Pending):
            self.start(Problem("does not receive its primary's changes"), copy=copy)
        self.assertEqual(
            notes, ["its own data did not follow node-1 (does not receive its primary's changes), so it was cloned again"]
        )

    def start_with_work(self, state, follows):
        """Starts a stopped replica that was being copied to; returns what was done."""
        done = []

        def try_own_data(*arguments):
            done.append("start")
            if not follows:
                raise Problem("does not receive its primary's changes")
            return True, {}

        def copy(spec, skip_wait=False):
            done.append("clone")
            return Outcome(True)

        with mock.patch.multiple(
            start,
            inspect_container=lambda name: None,
            find_work=lambda cluster: mock.Mock(state=state),
            end_work=lambda cluster: done.append("end the work"),
            _start_replica=try_own_data,
            finish=lambda spec, image, changed: Outcome(changed),
            find_fault=lambda spec, image: None,
            ask_once=lambda container, sql: None,
            is_accepting=lambda: False,
            clone=copy,
        ):
            start.start_server(self.SPEC, IMAGE)
        return done

    def test_a_copy_that_failed_is_not_repeated_if_the_own_data_follows_by_now(self):
        # E.g. the node was restarted during a copy that began because the primary could not be reached for a while.
        self.assertEqual(self.start_with_work("failed", follows=True), ["start", "end the work"])
        self.assertEqual(self.start_with_work("failed", follows=False), ["start", "clone"])
        for state in ("running", "done"):
            self.assertEqual(self.start_with_work(state, follows=True), ["clone"])

    def clone(self, ends):
        """Runs the clone step on a node whose server was started and does not answer."""

        def wait(spec):
            raise ends

        def refuse(spec, role):
            raise Problem("asked")

        with mock.patch.multiple(
            clone,
            require_mounted=lambda cluster: None,
            read_role=lambda spec: None,
            inspect_container=lambda name: UP,
            wait_until_ready=wait,
            require_role=refuse,
        ):
            clone.clone(self.SPEC)

    def test_the_clone_step_waits_for_a_server_that_is_still_starting(self):
        with self.assertRaises(StillStarting):
            self.clone(StillStarting("still"))
        with self.assertRaisesRegex(Problem, "asked"):
            self.clone(Ended("ended"))


class ComingUp(unittest.TestCase):
    def test_stops_only_a_server_that_ended(self):
        for end, expected in [(None, True), (Ended("ended"), False), (Problem("silent"), None), (StillStarting("s"), None)]:
            with self.subTest(end):
                stopped = []

                def wait(spec, end=end):
                    if end is not None:
                        raise end

                with mock.patch.multiple(start, wait_until_ready=wait, run=lambda argv, **_: stopped.append(argv[1])):
                    if expected is None:
                        self.assertRaises(Problem, start.comes_up, SPEC)
                    else:
                        self.assertEqual(start.comes_up(SPEC), expected)
                self.assertEqual(stopped, ["stop"] if expected is False else [])

    def test_a_restart_does_not_stop_a_server_that_is_still_starting(self):
        def refuse(spec):
            raise StillStarting("still")

        with mock.patch.multiple(
            restart,
            choose_image=lambda spec: IMAGE,
            inspect_container=lambda name: UP,
            require_role=lambda spec: None,
            stop=lambda spec: self.fail("it was stopped"),
            check_configuration=lambda spec: None,
            write_passfile=lambda spec, image: False,
            lift_fence=lambda: False,
            write_files=lambda spec, image: ["postgresql.conf"],
        ), mock.patch.object(start, "wait_until_ready", refuse):
            self.assertRaises(StillStarting, restart.restart, SPEC)


if __name__ == "__main__":
    unittest.main()
