import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import recovery
from postgres_cluster.recovery import Sample

FIRST, SECOND = "00000001000000000000000A", "00000001000000000000000B"
STILL = Sample(pid=7, state="S", segment=FIRST, processor=1.0, bytes=0, requests=0, volume=0, receives=False)
MIB = 1024 * 1024


class Moved(unittest.TestCase):
    def test_what_counts_within_ten_seconds(self):
        for name, change, received, expected in [
            ("nothing", {}, False, False),
            # One that waits for WAL reads the page again, every five seconds.
            ("a page read again", {"bytes": 3 * 8192, "processor": 1.01}, False, False),
            ("computes", {"processor": 3.0}, True, True),
            ("reads", {"bytes": MIB}, True, True),
            ("files are synced", {"requests": 500}, False, True),
            ("the checkpoint at its end", {"volume": 80 * MIB, "requests": 10}, False, True),
            ("the same segment is received again and again", {"volume": 32 * MIB, "requests": 500}, True, False),
            ("another startup process", {"pid": 8}, False, True),
        ]:
            with self.subTest(name):
                self.assertEqual(recovery.has_moved(STILL, STILL._replace(**change), 10, received), expected)


class Watch(unittest.TestCase):
    def watch(self, samples):
        """What every look says, one per LOOK_SECONDS; gives the watch as well."""
        clock = mock.Mock()
        clock.monotonic.return_value = 0.0
        with mock.patch.object(recovery, "time", clock), mock.patch.object(recovery, "take_sample", side_effect=samples):
            watch = recovery.Recovery("postgres-orders")
            found = []
            for _ in samples:
                found.append(watch.look())
                clock.monotonic.return_value += recovery.LOOK_SECONDS
            watch.note("it came up")
            return found, watch, watch.describe()

    def test_a_segment_counts_once(self):
        # What it waits for and what it last replayed take turns.
        samples = [STILL._replace(segment=name) for name in (FIRST, SECOND, FIRST, SECOND)]
        self.assertEqual(self.watch(samples)[0], [True, True, False, False])

    def test_says_how_far_it_is(self):
        end = STILL._replace(segment=SECOND)
        self.assertEqual(
            self.watch([STILL, end])[2], "it replays WAL segment %s; 10 s ago it was at %s" % (SECOND, FIRST)
        )
        self.assertEqual(self.watch([STILL])[2], "it replays WAL segment %s, the same as 5 s ago" % FIRST)
        self.assertEqual(self.watch([STILL._replace(segment=None)])[2], "no WAL was seen to be replayed within 5 s")

    def test_notes_what_took_long(self):
        for looks, expected in [
            (2, []),
            (13, ["it came up after 65 s, WAL segments %s to %s replayed" % (FIRST, SECOND)]),
        ]:
            with self.subTest(looks), mock.patch.object(recovery, "notes", []):
                self.watch([STILL] + [STILL._replace(segment=SECOND)] * (looks - 1))
                self.assertEqual(recovery.notes, expected)

    def test_says_what_holds_it(self):
        for state, expected in [("S", None), ("R", None), ("D", "waits for a disk"), ("T", "was stopped by a signal")]:
            with self.subTest(state):
                self.assertEqual(self.watch([STILL._replace(state=state)])[1].held, expected)

    def test_once_it_received_the_volume_says_nothing(self):
        busy = STILL._replace(volume=32 * MIB)
        looks = [STILL, STILL._replace(receives=True), busy]
        self.assertEqual(self.watch(looks)[0], [True, False, False])
        self.assertEqual(self.watch([STILL, STILL, busy])[0], [True, False, True])


class Processes(unittest.TestCase):
    """What proc(5) has of a container's processes."""

    def look(self, processes, first=10):
        """`processes`: {pid: (parent, title)}."""
        with tempfile.TemporaryDirectory() as folder:
            for pid, (parent, title) in processes.items():
                os.mkdir("%s/%d" % (folder, pid))
                stat = "%d (postgres: a) b) D %d " % (pid, parent) + "0 " * 9 + "150 50 " + "0 " * 30
                for name, text in [
                    ("stat", stat),
                    ("cmdline", title + "\0" * 20),
                    ("io", "rchar: 8192\nwchar: 4096\nsyscr: 7\nread_bytes: 5\n"),
                ]:
                    with open("%s/%d/%s" % (folder, pid, name), "w", encoding="utf-8") as file:
                        file.write(text)

            def elsewhere(path):
                return path.replace("/proc", folder, 1)

            listdir, read = os.listdir, recovery.read_text
            with mock.patch.multiple(
                recovery,
                inspect_container=lambda name: {"State": {"Pid": first}},
                read_text=lambda path: read(elsewhere(path)),
                _read_volume=lambda: (1, 2),
            ), mock.patch.object(recovery.os, "listdir", lambda path: listdir(elsewhere(path))), mock.patch.object(
                recovery.os, "sysconf", lambda name: 100
            ):
                return recovery.take_sample("postgres-orders")

    def test_finds_the_startup_process(self):
        for title, segment in [
            ("postgres: orders/node-1: startup recovering " + FIRST, FIRST),
            ("postgres: startup waiting for " + FIRST, FIRST),
            ("postgres: startup   recovering " + FIRST, FIRST),
            ("postgres: orders/node-1: startup ", None),
        ]:
            with self.subTest(title):
                processes = {
                    10: (1, "/sbin/docker-init -- postgres -D /data"),
                    11: (10, "postgres -D /data"),
                    12: (11, "postgres: orders/node-1: checkpointer"),
                    13: (11, title),
                    # Of another container.
                    20: (1, "postgres -D /data"),
                    21: (20, "postgres: startup recovering " + SECOND),
                }
                self.assertEqual(self.look(processes), Sample(13, "D", segment, 2.0, 12288, 1, 2, False))

    def test_without_an_init_the_postmaster_is_the_first(self):
        processes = {10: (1, "postgres -D /data"), 13: (10, "postgres: startup"), 14: (10, "postgres: walreceiver ")}
        found = self.look(processes)
        self.assertEqual((found.pid, found.receives), (13, True))

    def test_where_there_is_none(self):
        running = {10: (1, "postgres -D /data"), 12: (10, "postgres: checkpointer")}
        self.assertIsNone(self.look(running).pid)
        # A container that does not run has process 0, the parent of 1.
        self.assertIsNone(self.look({1: (0, "init"), 2: (1, "postgres: startup")}, first=0).pid)


if __name__ == "__main__":
    unittest.main()
