import os
import subprocess
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import docker, promote, recovery, sensitive, server
from postgres_cluster.command import Problem
from postgres_cluster.container import LABEL_OPTIONS
from postgres_cluster.image import Image
from postgres_cluster.spec import Spec

IMAGE = Image("postgres@sha256:aa", 999, 999, 17, "glibc", ["/var/lib/postgresql/data"])
SPEC = Spec("orders", "node-1", "postgres:17", [], None, None, "", "", "node-1", "10.42.0.11")


def describe(running, restarting=False, options="earlier"):
    state = {"Running": running, "Restarting": restarting}
    return {"State": state, "Config": {"Labels": {LABEL_OPTIONS: options}}}


class Container(unittest.TestCase):
    """Invariant 9: only a restart's step stops a server that runs."""

    def list_done(self, found, **options):
        done = []
        with mock.patch.multiple(
            server,
            require_mounted=lambda cluster: None,
            list_arguments=lambda spec, image: ["--label", LABEL_OPTIONS + "=today"],
            inspect_container=lambda name: found,
            remove_container=lambda name: done.append("rm"),
            set_aside=lambda name, aside: done.append("aside"),
            run=lambda argv, **options: done.append(argv[1]),
        ), mock.patch("os.path.isdir", lambda path: True):
            changed = server.ensure_container(SPEC, IMAGE, **options)
        return changed, done

    def test_what_is_done_to_it(self):
        for name, found, expected in [
            ("none", None, ["run"]),
            ("runs with what an earlier version gave it", describe(True), []),
            ("runs", describe(True, options="today"), []),
            ("stands still with what an earlier version gave it", describe(False), ["rm", "run"]),
            ("stands still", describe(False, options="today"), ["start"]),
            ("is tried again and again", describe(True, True, "today"), ["stop", "start"]),
            ("is tried again and again, made earlier", describe(True, True), ["rm", "run"]),
        ]:
            with self.subTest(name):
                self.assertEqual(self.list_done(found), (bool(expected), expected))

    def test_what_it_had_is_kept_where_it_may_be_wanted_again(self):
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
    """A server in a world whose time goes by as it is slept away."""

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
    """Invariant 9: a server that is still starting is neither stopped nor copied."""

    def wait(self, is_accepting):
        with mock.patch.object(server, "is_accepting", is_accepting):
            server.wait_until_ready(SPEC)

    def segment(self):
        """Ten minutes for each segment, all but ten seconds."""
        return WAITS._replace(segment="%024X" % int(self.now // 590))

    def test_recovery_that_gets_on_has_no_limit(self):
        self.sample = self.segment
        self.wait(lambda: self.now > 36_000)

    def test_files_that_are_synced_are_progress(self):
        self.sample = lambda: WAITS._replace(segment=None, receives=False, requests=int(100 * self.now))
        self.wait(lambda: self.now > 36_000)

    def test_recovery_that_stands_still_is_told_from_a_server_that_ended(self):
        self.sample = lambda: self.segment() if self.now < 1000 else WAITS._replace(segment="%024X" % 1)
        with self.assertRaises(server.StillStarting) as caught:
            self.wait(lambda: False)
        self.assertLess(self.now, 1000 + server.STANDSTILL_SECONDS)
        self.assertRegex(
            caught.exception.message,
            "^PostgreSQL on node-1 is still starting: it replays WAL segment 0{23}1; .* ago it was at 0{24}, and nothing",
        )
        self.assertEqual(caught.exception.log, "FATAL:  no")

    def test_a_server_that_recovers_nothing_and_takes_no_connection(self):
        self.sample = lambda: WAITS._replace(pid=None)
        with self.assertRaises(Problem) as caught:
            self.wait(lambda: False)
        self.assertNotIsInstance(caught.exception, server.StillStarting)
        self.assertIn("does not accept connections", caught.exception.message)

    def test_the_log_of_an_attempt_that_ended(self):
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
        # Docker has begun the next attempt: what the last one said is what counts.
        self.now, self.found, self.logs = 0.0, running, []
        end(lambda found: {**found, "State": {**found["State"], "StartedAt": "2"}})
        self.assertEqual(self.logs[-1], "1")
        # Somebody removed it, and its log with it.
        self.now, self.found = 0.0, running
        self.assertEqual(end(lambda found: None), "FATAL:  no")


class LastLines(unittest.TestCase):
    def read(self, logs):
        """`logs`: what Docker returns since the container's start, and in all."""

        def run(argv, **options):
            return subprocess.CompletedProcess(argv, 0, "", logs[0 if "--since" in argv else 1])

        found = {"State": {"StartedAt": "2026-11-26T12:00:00Z"}}
        with mock.patch.multiple(docker, inspect_container=lambda name: found, run=run):
            return docker.read_log("postgres-orders", lines=2)

    def test_the_last_lines_since_the_start(self):
        self.assertEqual(self.read(["1\n2\n3\n", "0\n1\n2\n3\n"]), "2\n3")

    def test_a_server_that_ended_before_docker_noted_its_start(self):
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
        """`state` gives what the server says by the time."""
        self.sample = sample or (lambda: WAITS)
        with mock.patch.multiple(
            server, read_replication=lambda spec, session: state(self.now), find_newest_timeline=lambda: 1
        ):
            server.wait_until_streaming(SPEC, None, 30, **options)

    def at(self, **change):
        return lambda now: {**STREAMS, **{name: value(now) for name, value in change.items()}}

    def test_whatever_gets_on_is_waited_for(self):
        lsn = lambda now: "0/%X" % (0x3000000 + int(now))  # noqa: E731
        status = lambda now: "streaming" if now > 1000 else None  # noqa: E731
        for name, change, sample in [
            ("replays what it has", {"lsn": lsn}, None),
            ("copies a database, in one record", {}, lambda: WAITS._replace(bytes=int(self.now * 1e6))),
        ]:
            with self.subTest(name):
                self.now = 0.0
                self.follow(self.at(**change, status=status), sample)
                self.assertGreater(self.now, 1000)

    def test_what_goes_round_in_circles_is_not(self):
        # Data that went another way receives up to the end of its own timeline, again and again.
        received = lambda now: "0/%X" % (0x3000000 + int(now) % 5)  # noqa: E731
        with self.assertRaises(Problem) as caught:
            self.follow(self.at(received=received, status=lambda now: None))
        self.assertNotIsInstance(caught.exception, server.StillStarting)
        self.assertLess(self.now, 60)

    def test_what_arrives_beside_a_replay_that_is_paused_or_waits_for_a_query_is_not(self):
        received = lambda now: "0/%X" % (0x3000000 + int(now))  # noqa: E731
        for paused in (False, True):
            with self.subTest(paused), self.assertRaises(Problem):
                self.now = 0.0
                self.follow(self.at(received=received, paused=lambda now: paused, status=lambda now: None))
            self.assertLess(self.now, 60)

    def test_a_wait_ends_for_another_run_and_nothing_is_copied_for_it(self):
        lsn = lambda now: "0/%X" % (0x3000000 + int(now))  # noqa: E731
        with mock.patch.object(server, "is_wanted", lambda: True), self.assertRaises(server.StillStarting) as caught:
            self.follow(self.at(lsn=lsn, status=lambda now: None))
        self.assertRegex(caught.exception.message, "another run came to work on node-1")
        self.assertGreater(self.now, server.YIELD_SECONDS)

    def test_one_that_lets_nobody_in_may_replay_for_ever(self):
        with self.assertRaises(Problem):
            self.follow(lambda now: None, lambda: WAITS._replace(bytes=int(self.now * 1e6)))
        self.assertLess(self.now, 60)

    def test_replay_that_hangs_is_no_reason_to_copy(self):
        for state in ("D", "T"):
            with self.subTest(state), self.assertRaises(server.StillStarting) as caught:
                self.now = 0.0
                self.follow(self.at(status=lambda now: None), lambda: WAITS._replace(state=state))
            self.assertRegex(caught.exception.message, "^replay on node-1 hangs: its startup process wa")

    def test_catching_up(self):
        # The primary goes on; what it had when this replica began to stream is what counts.
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


    def test_lower_settings_wait_for_a_replica_that_catches_up_with_its_primary(self):
        # 32 MiB behind, and what the primary was restarted with is the last of them.
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
                        # Not for ever: the primary does run with more.
                        self.assertRaises(Problem, sensitive.wait_for_primary, spec)
                        self.assertLess(self.now, 1200)


class Promotion(unittest.TestCase):
    def test_what_was_received_is_replayed_first(self):
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
    def test_clients_that_came_too_early_do_not_hide_the_reason(self):
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
