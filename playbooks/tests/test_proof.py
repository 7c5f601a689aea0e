import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import canary, proof

MIB = 1024 * 1024


class Archive(unittest.TestCase):
    """With backups, the proof needs the WAL with its value in the archive."""

    def prove(self, arrives, dropped=False):
        line = {"problem": None, "archivedWal": None}
        with mock.patch.multiple(
            proof,
            switch_segment=lambda session: "000000010000000000000003",
            wait_until_archived=lambda name: arrives,
            is_dropped=lambda name: dropped,
            describe_stall=lambda cluster, container, name: "%s of %s in %s waits" % (name, cluster, container),
        ):
            proof._prove_archive(mock.Mock(), {"cluster": "main"}, line)
        return line

    def test_names_the_segment_that_was_archived(self):
        self.assertEqual(self.prove(True), {"problem": None, "archivedWal": "000000010000000000000003"})

    def test_an_archive_that_does_not_advance_is_a_problem(self):
        line = self.prove(False)
        self.assertEqual(line["problem"], "000000010000000000000003 of main in postgres-main waits")
        self.assertIsNone(line["archivedWal"])

    def test_wal_that_was_dropped_is_not_archived(self):
        line = self.prove(True, dropped=True)
        self.assertRegex(line["problem"], "dropped 000000010000000000000003.*full backup is due")
        self.assertIsNone(line["archivedWal"])


class Proof(unittest.TestCase):
    """A replica that is catching up is waited for, one that stalls is not."""

    def setUp(self):
        self.now = 0.0
        clock = mock.Mock(monotonic=lambda: self.now, sleep=self.sleep)
        patch = mock.patch.multiple(proof, time=clock, is_archiving=lambda: False)
        patch.start()
        self.addCleanup(patch.stop)

    def sleep(self, _):
        self.now += 1

    def prove_primary(self, followers, **more):
        """`followers`: the primary's view of its replicas by time; the value ends at 100 MiB."""
        answers = {
            "SELECT to_json(pg_is_in_recovery())": lambda: False,
            proof.FIND_TABLE: lambda: True,
            proof.READ: lambda: ["token"],
            "SELECT to_json(pg_current_wal_lsn())": lambda: "0/6400000",
            proof.FOLLOWERS: lambda: followers(int(self.now)),
            proof.PRIMARY_STATUS: lambda: {"inRecovery": False, "lsn": "0/6400000"},
            canary.LIST: lambda: {"written": "2026-11-26T02:30:00.000001Z", "roles": ["61", "62"], "databases": ["63"]},
        }
        self.statements = []

        def ask(question):
            self.statements.append(question)
            return answers[question]()

        session = mock.Mock(ask=ask, execute=self.statements.append)
        self.line = {"problem": None, "canary": None}
        options = {"name": "node-1", "token": "token", "replicas": ["node-2", "node-3"], **more}
        proof._prove_primary(session, options, self.line)
        return self.line["problem"]

    def test_the_canary_is_read_between_two_commits_before_its_wal_is_archived(self):
        there = {"state": "streaming", "replayed": 100 * MIB}
        followers = lambda now: {"node_2": there, "node_3": there}  # noqa: E731
        with mock.patch.multiple(
            proof, is_archiving=lambda: True, _prove_archive=lambda *_: self.statements.append("archive")
        ):
            self.prove_primary(followers, lists_canary=True)
            names = canary.digest_names(["61", "62"], ["63"])
            found = {"token": "token", "written": "2026-11-26T02:30:00.000001Z", "roles": 2, "databases": 1, "names": names}
            self.assertEqual(self.line["canary"], found)
            write = proof.WRITE % "'token'"
            order = [one for one in self.statements if one in (write, canary.LIST, "archive")]
            self.assertEqual(order, [write, canary.LIST, write, "archive"])
            self.prove_primary(followers)
        self.assertIsNone(self.line["canary"])
        self.assertNotIn(canary.LIST, self.statements)

    def test_the_primary_waits_for_replicas_that_are_catching_up(self):
        there = {"state": "streaming", "replayed": 100 * MIB}
        behind = lambda now: {"state": "streaming", "replayed": now * 1024}  # noqa: E731
        for name, node_3, expected in [
            ("a thousand seconds behind", lambda now: {"state": "streaming", "replayed": now * 102 * 1024}, None),
            ("connects late", lambda now: there if now > 25 else None, None),
            ("never connects", lambda now: None, "not replayed by node-3 (not connected)"),
            (
                "stalls",
                lambda now: {"state": "streaming", "replayed": 60 * MIB},
                "not replayed by node-3 (streaming, 41943040 bytes behind, and is stalled)",
            ),
            (
                # It has the value, but never catches up with a busy primary.
                "never streams",
                lambda now: {"state": "catchup", "replayed": (100 + now) * MIB},
                "not replayed by node-3 (catchup, 0 bytes behind, and is stalled)",
            ),
        ]:
            with self.subTest(name):
                self.now = 0.0
                found = self.prove_primary(
                    lambda now: {"node_2": there, **({"node_3": node_3(now)} if node_3(now) else {})}
                )
                self.assertEqual(found, expected)
        self.now = 0.0
        # A stalled replica fails the proof; the other is reported as catching up.
        found = self.prove_primary(lambda now: {"node_2": behind(now)})
        self.assertRegex(
            found, r"^not replayed by node-2 \(streaming, \d+ bytes behind, and is catching up\), node-3 \(not connected\)$"
        )
        self.assertLess(self.now, 40)

    def prove_replica(self, replayed, value_at, **status):
        """`replayed`: the position by time; the primary writes 1 MiB a second from 200 MiB on."""
        line = {"name": "node-2", "problem": None}
        base = {"state": "streaming", "slot": "node_2", "replayPaused": False}

        def read():
            return ["token"] if replayed(self.now) >= value_at else ["earlier"]

        answers = {
            "SELECT to_json(pg_is_in_recovery())": lambda: True,
            proof.FIND_TABLE: lambda: True,
            proof.READ: read,
            proof.POSITION: lambda: {
                "replayed": int(replayed(self.now)),
                "end": None if status.get("state") else int((200 + self.now) * MIB),
            },
            proof.REPLICA_STATUS: lambda: {**base, **status},
        }
        session = mock.Mock(ask=lambda question: answers[question]())
        proof._prove_replica(session, {"name": "node-2", "primary": "node-1", "token": "token"}, line)
        return line["problem"]

    def test_waits_for_a_replica_that_is_catching_up(self):
        # Faster than the primary, but a thousand seconds behind.
        self.assertIsNone(self.prove_replica(lambda now: now * 1.2 * MIB, 210 * MIB))
        self.assertGreater(self.now, 100)

    def test_a_stalled_replica_reports_how_far_it_is_behind(self):
        found = self.prove_replica(lambda now: 100 * MIB, 210 * MIB)
        self.assertRegex(
            found,
            r"^the value written on the primary has not arrived: it is \d+ bytes behind, and is stalled$",
        )
        self.assertLess(self.now, 40)

    def test_does_not_wait_for_ever_for_a_value_that_never_arrives(self):
        found = self.prove_replica(lambda now: (199 + now) * MIB, 10**15)
        self.assertIn("is catching up", found)
        self.assertLess(self.now, 60)

    def test_does_not_wait_for_a_wrong_slot_or_a_paused_replay(self):
        for status, expected in [
            ({"slot": None}, "it follows over slot None instead of its own"),
            ({"replayPaused": True}, "replay is paused: a setting may be lower than the primary's"),
        ]:
            with self.subTest(status):
                self.now = 0.0
                self.assertEqual(self.prove_replica(lambda now: now * MIB, 10**15, **status), expected)
                self.assertLess(self.now, 40)

    def test_waits_for_a_replica_that_replays_local_wal_before_it_connects(self):
        found = self.prove_replica(lambda now: min(now, 1000) * MIB, 10**15, state="not connected")
        self.assertEqual(found, "its WAL receiver is not connected")
        self.assertGreater(self.now, 1000)


class Names(unittest.TestCase):
    """The digest of names is that of two sets."""

    def digest(self, roles, databases):
        return canary.digest_names([name.encode().hex() for name in roles], [name.encode().hex() for name in databases])

    def test_the_order_of_names_does_not_count(self):
        self.assertEqual(self.digest(["b", "a", "\u00e9"], ["y", "x"]), self.digest(["\u00e9", "a", "b"], ["x", "y"]))

    def test_other_names_have_another_digest(self):
        lists = [([], []), (["a"], []), ([], ["a"]), (["a", "b"], []), (["ab"], []), (["a"], ["b"]), ([], ["a", "b"]), (["a b"], [])]
        self.assertEqual(len({self.digest(*one) for one in lists}), len(lists))


if __name__ == "__main__":
    unittest.main()
