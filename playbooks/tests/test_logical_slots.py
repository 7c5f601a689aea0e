import json
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import logical_slots
from postgres_cluster.command import Problem
from postgres_cluster.layout import FORMER_PRIMARY
from postgres_cluster.spec import Spec

PRIMARY = Spec("orders", "node-1", "postgres:17", [], None, None, "", "", primary="node-2")
SUCCESSOR = PRIMARY._replace(node="node-2")


def slot(name, **more):
    plain = {"active": False, "failover": False, "synced": False, "invalid": False}
    return {"name": name, "database": "shop", "plugin": "pgoutput", **plain, **more}


class FakeSession:
    """A server with these slots."""

    def __init__(self, slots, recovery=True, version=170006):
        self.slots, self.recovery, self.version = slots, recovery, version
        self.statements = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, sql):
        if sql == logical_slots.LIST:
            return json.loads(json.dumps(self.slots))
        return {"recovery": self.recovery, "version": self.version}

    def execute(self, sql):
        self.statements.append(sql)


class Leftovers(unittest.TestCase):
    def check(self, expected, marked=False, **server):
        slots = [
            slot("old"),
            slot("moved", failover=True),
            slot("copy", failover=True, synced=True),
            slot("in_use", active=True),
        ]
        session = FakeSession(slots, **server)
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(logical_slots, "DATA", folder):
            if marked:
                open(os.path.join(folder, FORMER_PRIMARY), "w").close()
            self.assertEqual(logical_slots.drop_leftovers(session), expected)
        self.assertEqual(len(session.statements), len(expected))

    def test_drops_the_slots_of_a_former_primary_and_keeps_copies(self):
        self.check(["old", "moved"], marked=True)

    def test_keeps_the_own_slots_of_a_replica(self):
        self.check([])

    def test_a_replica_before_16_has_no_slots_of_its_own(self):
        self.check(["old", "moved"], version=150010)

    def test_never_drops_the_slots_of_a_primary(self):
        self.check([], marked=True, recovery=False)
        self.check([], recovery=False, version=140020)

    def test_never_drops_the_slots_of_a_node_that_was_just_promoted(self):
        session = FakeSession([slot("old")], version=140020)
        self.assertEqual(logical_slots.drop_leftovers(session), ["old"])
        self.assertEqual(
            session.statements, ["SELECT pg_drop_replication_slot('old') WHERE pg_is_in_recovery()"]
        )


class Switchover(unittest.TestCase):
    def test_returns_the_slots_that_must_be_copied(self):
        slots = [slot("a", failover=True), slot("b", invalid=True), slot("c", failover=True, invalid=True)]
        self.assertEqual(logical_slots.find_movable(FakeSession(slots, False), PRIMARY, False), ["a"])

    def test_is_refused_if_a_slot_would_be_lost(self):
        session = FakeSession([slot("a", failover=True), slot("younger")], False)
        with self.assertRaises(Problem) as caught:
            logical_slots.find_movable(session, PRIMARY, False)
        self.assertRegex(caught.exception.message, r"^node-1 has .* node-2 has no copy of \(younger\).*nothing was stopped$")
        self.assertEqual(logical_slots.find_movable(session, PRIMARY, True), ["a"])

    def wait(self, slots, may_lose=False):
        with mock.patch.object(logical_slots, "Session", lambda _: FakeSession(slots)), mock.patch.object(
            logical_slots, "COPY_SECONDS", 0
        ):
            return logical_slots.wait_for_copies(SUCCESSOR, ["a", "b"], may_lose)

    def test_waits_for_complete_copies(self):
        copies = [slot("a", synced=True), slot("b", synced=True)]
        self.assertEqual(self.wait(copies).notes, [])

    def test_is_refused_without_them(self):
        for copies in ([slot("a", synced=True)], [slot("a", synced=True), slot("b", synced=True, invalid=True)]):
            with self.assertRaises(Problem) as caught:
                self.wait(copies)
            self.assertRegex(caught.exception.message, "no complete copy of the logical slots b after 0 s.*nothing was stopped$")

    def test_names_an_own_slot_that_prevents_a_copy(self):
        with self.assertRaises(Problem) as caught:
            self.wait([slot("a", synced=True), slot("b")])
        self.assertRegex(caught.exception.message, r"slots of its own by that name \(b\)")

    def test_continues_if_the_loss_is_allowed(self):
        self.assertEqual(
            self.wait([slot("a", synced=True)], may_lose=True).notes,
            ["it has no copy of the logical slots b, which are lost"],
        )

    def test_lists_at_most_ten_names(self):
        self.assertEqual(
            logical_slots.list_names(["s%d" % number for number in range(12)]),
            "s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 and 2 more",
        )


if __name__ == "__main__":
    unittest.main()
