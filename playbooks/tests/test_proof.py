import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import proof

MIB = 1024 * 1024


class Proof(unittest.TestCase):
    """A replica that catches up is waited for, one that stands still is not."""

    def setUp(self):
        self.now = 0.0
        clock = mock.Mock(monotonic=lambda: self.now, sleep=self.sleep)
        patch = mock.patch.object(proof, "time", clock)
        patch.start()
        self.addCleanup(patch.stop)

    def sleep(self, _):
        self.now += 1

    def prove_primary(self, followers):
        """`followers` gives what the primary knows of them by the time; the value ends at 100 MiB."""
        answers = {
            "SELECT to_json(pg_is_in_recovery())": lambda: False,
            proof.FIND_TABLE: lambda: True,
            proof.READ: lambda: ["token"],
            "SELECT to_json(pg_current_wal_lsn())": lambda: "0/6400000",
            proof.FOLLOWERS: lambda: followers(int(self.now)),
            proof.PRIMARY_STATUS: lambda: {"inRecovery": False, "lsn": "0/6400000"},
        }
        session = mock.Mock(ask=lambda question: answers[question]())
        line = {"problem": None}
        options = {"name": "node-1", "token": "token", "replicas": ["node-2", "node-3"]}
        proof._prove_primary(session, options, line)
        return line["problem"]

    def test_the_primary_waits_for_what_catches_up(self):
        there = {"state": "streaming", "replayed": 100 * MIB}
        behind = lambda now: {"state": "streaming", "replayed": now * 1024}  # noqa: E731
        for name, node_3, expected in [
            ("a thousand seconds behind", lambda now: {"state": "streaming", "replayed": now * 102 * 1024}, None),
            ("connects late", lambda now: there if now > 25 else None, None),
            ("is not there", lambda now: None, "not replayed by node-3 (not connected)"),
            (
                "stands still",
                lambda now: {"state": "streaming", "replayed": 60 * MIB},
                "not replayed by node-3 (streaming, 41943040 bytes behind, and stands still)",
            ),
            (
                # It has the value, and is never through with what a busy primary sends.
                "never streams",
                lambda now: {"state": "catchup", "replayed": (100 + now) * MIB},
                "not replayed by node-3 (catchup, 0 bytes behind, and stands still)",
            ),
        ]:
            with self.subTest(name):
                self.now = 0.0
                found = self.prove_primary(
                    lambda now: {"node_2": there, **({"node_3": node_3(now)} if node_3(now) else {})}
                )
                self.assertEqual(found, expected)
        self.now = 0.0
        # One that stands still fails the proof; the other is said to get on.
        found = self.prove_primary(lambda now: {"node_2": behind(now)})
        self.assertRegex(
            found, r"^not replayed by node-2 \(streaming, \d+ bytes behind, and is catching up\), node-3 \(not connected\)$"
        )
        self.assertLess(self.now, 40)

    def prove_replica(self, replayed, value_at, **status):
        """`replayed` gives the position by the time; the primary goes on by 1 MiB a second from 200 MiB on."""
        line = {"name": "node-2", "problem": None}
        base = {"state": "streaming", "slot": "node_2", "replayPaused": False}

        def read():
            return ["token"] if replayed(self.now) >= value_at else ["earlier"]

        answers = {
            "SELECT to_json(pg_is_in_recovery())": lambda: True,
            proof.FIND_TABLE: lambda: True,
            proof.READ: read,
            proof.PROGRESS: lambda: {
                "replayed": int(replayed(self.now)),
                "end": None if status.get("state") else int((200 + self.now) * MIB),
            },
            proof.REPLICA_STATUS: lambda: {**base, **status},
        }
        session = mock.Mock(ask=lambda question: answers[question]())
        proof._prove_replica(session, {"name": "node-2", "primary": "node-1", "token": "token"}, line)
        return line["problem"]

    def test_a_replica_that_catches_up_is_waited_for(self):
        # Faster than the primary, and a thousand seconds behind.
        self.assertIsNone(self.prove_replica(lambda now: now * 1.2 * MIB, 210 * MIB))
        self.assertGreater(self.now, 100)

    def test_one_that_stands_still_says_how_far_it_is_behind(self):
        found = self.prove_replica(lambda now: 100 * MIB, 210 * MIB)
        self.assertRegex(
            found,
            r"^the value written on the primary has not arrived: it is \d+ bytes behind, and stands still$",
        )
        self.assertLess(self.now, 40)

    def test_a_value_that_never_comes_is_not_waited_for_for_ever(self):
        found = self.prove_replica(lambda now: (199 + now) * MIB, 10**15)
        self.assertIn("is catching up", found)
        self.assertLess(self.now, 60)

    def test_what_follows_otherwise_than_it_should_will_not_change(self):
        for status, expected in [
            ({"slot": None}, "it follows over slot None instead of its own"),
            ({"replayPaused": True}, "replay is paused: a setting may be lower than the primary's"),
        ]:
            with self.subTest(status):
                self.now = 0.0
                self.assertEqual(self.prove_replica(lambda now: now * MIB, 10**15, **status), expected)
                self.assertLess(self.now, 40)

    def test_one_that_goes_through_what_it_has_before_it_connects(self):
        found = self.prove_replica(lambda now: min(now, 1000) * MIB, 10**15, state="not connected")
        self.assertEqual(found, "its WAL receiver is not connected")
        self.assertGreater(self.now, 1000)


if __name__ == "__main__":
    unittest.main()
