import os
import subprocess
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import docker, progress, promote, recovery, sensitive, server
from postgres_cluster.command import Pending, Problem
from postgres_cluster.container import LABEL_OPTIONS
from postgres_cluster.image import Image
from postgres_cluster.spec import Spec

IMAGE = Image("postgres@sha256:aa", 999, 999, 17, "glibc", ["/var/lib/postgresql/data"])
SPEC = Spec("orders", "node-1", "postgres:17", [], None, None, "", "", "node-1", "10.42.0.11")


def describe(running, restarting=False, options="earlier"):
    state = {"Running": running, "Restarting": restarting}
    return {"State": state, "Config": {"Labels": {LABEL_OPTIONS: options}}}


class Container(unittest.TestCase):
    """Invariant 9: only the restart step stops a running server."""

    def list_done(self, found, **options):
        done = []
        with mock.patch.multiple(
            server,
            require_mounted=lambda cluster: None,
            make_mount_points=lambda image: None,
            list_arguments=lambda spec, image: ["--label", LABEL_OPTIONS + "=today"],
            inspect_container=lambda name: found,
            remove_container=lambda name: done.append("rm"),
            set_aside=lambda name, aside: done.append("aside"),
            run=lambda argv, **options: done.append(argv[1]),
        ), mock.patch("os.path.isdir", lambda path: True):
            changed = server.ensure_container(SPEC, IMAGE, **options)
        return changed, done

    def test_starts_or_recreates_the_container(self):
        for name, found, expected in [
            ("no container", None, ["run"]),
            ("running, with the options of an earlier version", describe(True), []),
            ("running", describe(True, options="today"), []),
            ("stopped, with the options of an earlier version", describe(False), ["rm", "run"]),
            ("stopped", describe(False, options="today"), ["start"]),
            ("restarting", describe(True, True, "today"), ["stop", "start"]),
            ("restarting, with the options of an earlier version", describe(True, True), ["rm", "run"]),
        ]:
            with self.subTest(name):
                self.assertEqual(self.list_done(found), (bool(expected), expected))

    def test_sets_the_old_container_aside_for_a_rollback(self):
        for found, expected in [
            (describe(False), ["aside", "run"]),
            (describe(False, options="today"), ["start"]),
            (describe(True, True), ["stop", "aside", "run"]),
            (describe(True), []),
        ]:
            with self.subTest(found):
                self.assertEqual(self.list_done(found, keep=True), (bool(expected), expected))


WAITS = recovery.Sample(7, "S", "0" * 24, 1.0, 0, 0, 0, True)


class Clocked(unittest.TestCase):
    """A server with a fake clock: `sleep` advances it."""

    def setUp(self):
        self.now = 0.0
        self.found = {"State": {"Running": True, "Restarting": False, "StartedAt": "1"}, "RestartCount": 0}
        self.sample = lambda: WAITS
        self.logs = []
        clock = mock.Mock(monotonic=lambda: self.now, sleep=self.sleep)
        for module, names in [
            (server, {"time": clock, "inspect_container": lambda name: self.found, "read_log": self.read_log}),
            (recovery, {"time": clock, "take_sample": lambda name: self.sample()}),
        ]:
            patch = mock.patch.multiple(module, **names)
            patch.start()
            self.addCleanup(patch.stop)

    def sleep(self, seconds):
        self.now += seconds

    def read_log(self, name, lines=20, since=None):
        self.logs.append(since)
        return "" if self.found is None else "FATAL:  no"


class Wait(Clocked):
    """Invariant 9: a server that is still starting is neither stopped nor cloned."""

    def wait(self, is_accepting):
        with mock.patch.object(server, "is_accepting", is_accepting):
            server.wait_until_ready(SPEC)

    def segment(self):
        """A new segment every 590 s, just within the limit."""
        return WAITS._replace(segment="%024X" % int(self.now // 590))

    def test_recovery_that_advances_has_no_limit(self):
        self.sample = self.segment
        self.wait(lambda: self.now > 36_000)

    def test_synced_files_count_as_progress(self):
        self.sample = lambda: WAITS._replace(segment=None, receives=False, requests=int(100 * self.now))
        self.wait(lambda: self.now > 36_000)

    def test_a_call_with_a_limit_ends_while_recovery_advances_and_reports_it(self):
        self.sample = lambda: WAITS._replace(segment="%024X" % int(self.now // 10))
        spec = SPEC._replace(step="start", deadline=15.0)
        reports = []
        with mock.patch.object(server, "is_accepting", lambda: False), mock.patch.object(
            progress, "write_progress", lambda *report: reports.append(report[:4])
        ), self.assertRaises(Pending):
            server.wait_until_ready(spec)
        self.assertLess(self.now, 30)
        self.assertEqual(reports[-1], ("start", "recovery", 16 * 1024 * 1024, None))
        self.assertLessEqual(len(reports), self.now)

    def test_a_call_with_a_limit_goes_on_until_it_knows_that_recovery_stalls(self):
        # Otherwise every call would end early, and nobody would find out.
        with mock.patch.object(server, "is_accepting", lambda: False), mock.patch.object(
            progress, "write_progress", lambda *report: None
        ), self.assertRaises(server.StillStarting):
            server.wait_until_ready(SPEC._replace(step="start", deadline=15.0))
        self.assertGreater(self.now, server.STALL_SECONDS)

    def test_stalled_recovery_is_reported_as_still_starting(self):
        self.sample = lambda: self.segment() if self.now < 1000 else WAITS._replace(segment="%024X" % 1)
        with self.assertRaises(server.StillStarting) as caught:
            self.wait(lambda: False)
        self.assertLess(self.now, 1000 + server.STALL_SECONDS)
        self.assertRegex(
            caught.exception.message,
            "^PostgreSQL on node-1 is still starting: it replays WAL segment 0{23}1; .* ago it was at 0{24}, and nothing",
        )
        self.assertEqual(caught.exception.log, "FATAL:  no")

    def test_a_server_that_neither_recovers_nor_accepts_connections_is_a_problem(self):
        self.sample = lambda: WAITS._replace(pid=None)
        with self.assertRaises(Problem) as caught:
            self.wait(lambda: False)
        self.assertNotIsInstance(caught.exception, server.StillStarting)
        self.assertIn("does not accept connections", caught.exception.message)

    def test_reports_the_log_of_the_attempt_that_ended(self):
        def end(change):
            def is_accepting():
                if self.now > 20:
                    self.found = change(self.found)
                return False

            with self.assertRaises(server.Ended) as caught:
                self.wait(is_accepting)
            return caught.exception.log

        running = self.found
        self.assertEqual(end(lambda found: {**found, "State": {**found["State"], "Running": False}}), "FATAL:  no")
        # Docker has started the next attempt: the log of the previous one counts.
        self.now, self.found, self.logs = 0.0, running, []
        end(lambda found: {**found, "State": {**found["State"], "StartedAt": "2"}})
        self.assertEqual(self.logs[-1], "1")
        # The container was removed, and its log with it.
        self.now, self.found = 0.0, running
        self.assertEqual(end(lambda found: None), "FATAL:  no")


class LastLines(unittest.TestCase):
    def read(self, logs):
        """`logs`: Docker's output since the container's start, and in all."""

        def run(argv, **options):
            return subprocess.CompletedProcess(argv, 0, "", logs[0 if "--since" in argv else 1])

        found = {"State": {"StartedAt": "2026-11-26T12:00:00Z"}}
        with mock.patch.multiple(docker, inspect_container=lambda name: found, run=run):
            return docker.read_log("postgres-orders", lines=2)

    def test_returns_the_last_lines_since_the_start(self):
        self.assertEqual(self.read(["1\n2\n3\n", "0\n1\n2\n3\n"]), "2\n3")

    def test_returns_the_last_lines_if_docker_noted_the_start_after_the_end(self):
        self.assertEqual(self.read(["", "FATAL:  no\n"]), "FATAL:  no")


STREAMS = {
    "recovery": True,
    "status": "streaming",
    "receiver": 9,
    "sender": "10.42.0.11",
    "timeline": 1,
    "end": "0/5000000",
    "received": "0/3000000",
    "paused": False,
    "lsn": "0/3000000",
}


class Stream(Clocked):
    def follow(self, state, sample=None, **options):
        """`state`: the server's answer by time."""
        self.sample = sample or (lambda: WAITS)
        with mock.patch.multiple(
            server, read_replication=lambda spec, session: state(self.now), find_newest_timeline=lambda: 1
        ):
            server.wait_until_streaming(SPEC, None, 30, **options)

    def at(self, **change):
        return lambda now: {**STREAMS, **{name: value(now) for name, value in change.items()}}

    def test_waits_for_replay_that_advances(self):
        lsn = lambda now: "0/%X" % (0x3000000 + int(now))  # noqa: E731
        status = lambda now: "streaming" if now > 1000 else None  # noqa: E731
        for name, change, sample in [
            ("replays local WAL", {"lsn": lsn}, None),
            ("copies a database, in one record", {}, lambda: WAITS._replace(bytes=int(self.now * 1e6))),
        ]:
            with self.subTest(name):
                self.now = 0.0
                self.follow(self.at(**change, status=status), sample)
                self.assertGreater(self.now, 1000)

    def test_does_not_wait_for_wal_that_is_received_again_and_again(self):
        # Diverged data receives up to the end of its own timeline, again and again.
        received = lambda now: "0/%X" % (0x3000000 + int(now) % 5)  # noqa: E731
        with self.assertRaises(Problem) as caught:
            self.follow(self.at(received=received, status=lambda now: None))
        self.assertNotIsInstance(caught.exception, server.StillStarting)
        self.assertLess(self.now, 60)

    def test_a_call_with_a_limit_ends_while_replay_advances(self):
        lsn = lambda now: "0/%X" % (0x3000000 + int(now))  # noqa: E731
        spec, reports = SPEC._replace(step="clone", deadline=15.0), []
        with mock.patch.object(progress, "write_progress", lambda *report: reports.append(report[1:4])), mock.patch.object(
            sys.modules[__name__], "SPEC", spec
        ):
            with self.assertRaises(Pending):
                self.follow(self.at(lsn=lsn), catch_up=True)
            kind, done, total = reports[-1]
            self.assertEqual((kind, total), ("replay", 0x2000000))
            self.assertIn(done, range(10, int(self.now) + 1))
            # It neither replays nor streams: the first answer is no advance.
            self.now = 0.0
            with self.assertRaises(Problem):
                self.follow(self.at(status=lambda now: None))

    def test_does_not_wait_for_received_wal_if_replay_is_paused_or_waits_for_a_query(self):
        received = lambda now: "0/%X" % (0x3000000 + int(now))  # noqa: E731
        for paused in (False, True):
            with self.subTest(paused), self.assertRaises(Problem):
                self.now = 0.0
                self.follow(self.at(received=received, paused=lambda now: paused, status=lambda now: None))
            self.assertLess(self.now, 60)

    def test_a_wait_ends_for_another_run_without_a_clone(self):
        lsn = lambda now: "0/%X" % (0x3000000 + int(now))  # noqa: E731
        with mock.patch.object(server, "has_waiting_run", lambda: True), self.assertRaises(server.StillStarting) as caught:
            self.follow(self.at(lsn=lsn, status=lambda now: None))
        self.assertRegex(caught.exception.message, "another run came to work on node-1")
        self.assertGreater(self.now, server.YIELD_SECONDS)

    def test_does_not_wait_for_a_server_that_replays_but_answers_no_query(self):
        with self.assertRaises(Problem):
            self.follow(lambda now: None, lambda: WAITS._replace(bytes=int(self.now * 1e6)))
        self.assertLess(self.now, 60)

    def test_replay_that_hangs_is_reported_as_still_starting(self):
        for state in ("D", "T"):
            with self.subTest(state), self.assertRaises(server.StillStarting) as caught:
                self.now = 0.0
                self.follow(self.at(status=lambda now: None), lambda: WAITS._replace(state=state))
            self.assertRegex(caught.exception.message, "^replay on node-1 hangs: its startup process wa")

    def test_catches_up_with_the_end_of_wal_when_streaming_began(self):
        # The primary keeps writing.
        lsn = lambda now: "0/%X" % (0x3000000 + int(now) * 0x8000)  # noqa: E731
        end = lambda now: "0/%X" % (0x5000000 + int(now) * 0x100000)  # noqa: E731
        self.follow(self.at(lsn=lsn, end=end))
        self.assertLess(self.now, 5)
        self.now = 0.0
        self.follow(self.at(lsn=lsn, end=end), catch_up=True)
        self.assertGreater(self.now, 1000)
        self.now = 0.0
        with self.assertRaises(Problem) as caught:
            self.follow(self.at(), catch_up=True)
        self.assertIn("is 33554432 bytes behind", caught.exception.message)
        # The sender had nothing to send yet.
        self.follow(self.at(end=lambda now: None), catch_up=True)

    def test_lower_settings_wait_for_a_replica_that_is_catching_up(self):
        # 32 MiB behind; the primary's restart is at their end.
        position = lambda: 0x3000000 + int(self.now) * 0x8000  # noqa: E731
        stuck = lambda: 0x3000000  # noqa: E731
        control = "".join("%s: %%d\n" % label for label in sensitive.LABELS.values())
        for lsn, ends in [(position, 0x5000000), (stuck, 10**15), (position, 10**15)]:
            with self.subTest(ends):
                self.now = 0.0

                def read(argv, lsn=lsn, ends=ends, **_):
                    return mock.Mock(stdout=control % ((100 if lsn() >= ends else 200,) * len(sensitive.LABELS)))

                def ask(spec, lsn=lsn):
                    return {**STREAMS, "lsn": "0/%X" % lsn(), "received": "0/5000000"}

                names = {"time": mock.Mock(monotonic=lambda: self.now, sleep=self.sleep), "run": read}
                with mock.patch.multiple(sensitive, read_replication=ask, **names), mock.patch.object(
                    server, "find_newest_timeline", lambda: 1
                ):
                    spec = SPEC._replace(conf="max_connections = '100'\n")
                    if ends == 0x5000000:
                        sensitive.wait_for_primary(spec)
                        self.assertGreater(self.now, 1000)
                    else:
                        # Not for ever: the primary still runs with higher settings.
                        self.assertRaises(Problem, sensitive.wait_for_primary, spec)
                        self.assertLess(self.now, 1200)


class Promotion(unittest.TestCase):
    def test_waits_while_replay_advances(self):
        clock = mock.Mock(now=0.0)
        clock.monotonic.side_effect = lambda: clock.now

        def sleep(seconds):
            clock.now += 10

        clock.sleep.side_effect = sleep
        for moves, expected in [(True, None), (False, "up to 0/3000000, and nothing more for 60 s")]:
            with self.subTest(moves), mock.patch.object(promote, "time", clock):
                clock.now = 0.0

                def ask(question):
                    if question != promote.IS_PROMOTED:
                        return True
                    return [clock.now < 1000, "0/%X" % (0x3000000 + (int(clock.now) if moves else 0))]

                session = mock.Mock(ask=ask)
                if expected is None:
                    self.assertTrue(promote.promote_server(session, "node-2"))
                else:
                    with self.assertRaises(Problem) as caught:
                        promote.promote_server(session, "node-2")
                    self.assertIn(expected, caught.exception.message)


class Log(unittest.TestCase):
    def test_drops_the_refusals_of_clients_that_connected_too_early(self):
        lines = [
            "LOG:  redo starts at 0/3000028",
            "PANIC:  could not locate a valid checkpoint record",
            "2026-11-26 10:00:00 UTC [7] FATAL:  the database system is starting up",
            "FATAL:  the database system is not yet accepting connections",
            "DETAIL:  Consistent recovery state has not been yet reached.",
            "LOG:  startup process (PID 29) was terminated by signal 6",
            "DETAIL:  of something else",
        ]
        self.assertEqual(docker.drop_refusals(lines), [*lines[:2], *lines[5:]])


if __name__ == "__main__":
    unittest.main()
