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


class Advanced(unittest.TestCase):
    def test_progress_within_ten_seconds(self):
        for name, change, received, expected in [
            ("nothing", {}, False, False),
            # A process that waits for WAL reads the page again every five seconds.
            ("a page read again", {"bytes": 3 * 8192, "processor": 1.01}, False, False),
            ("computes", {"processor": 3.0}, True, True),
            ("reads", {"bytes": MIB}, True, True),
            ("files are synced", {"requests": 500}, False, True),
            ("the checkpoint at the end of recovery", {"volume": 80 * MIB, "requests": 10}, False, True),
            ("the same segment is received again and again", {"volume": 32 * MIB, "requests": 500}, True, False),
            ("another startup process", {"pid": 8}, False, True),
        ]:
            with self.subTest(name):
                self.assertEqual(recovery.has_advanced(STILL, STILL._replace(**change), 10, received), expected)


class Watch(unittest.TestCase):
    def watch(self, samples):
        """Returns (the result of each sample, one per SAMPLE_SECONDS; the Recovery; its description)."""
        clock = mock.Mock()
        clock.monotonic.return_value = 0.0
        with mock.patch.object(recovery, "time", clock), mock.patch.object(recovery, "take_sample", side_effect=samples):
            watch = recovery.Recovery("postgres-orders")
            found = []
            for _ in samples:
                found.append(watch.is_advancing())
                clock.monotonic.return_value += recovery.SAMPLE_SECONDS
            watch.note("it came up")
            return found, watch, watch.describe()

    def test_a_segment_counts_once(self):
        # The title alternates between the segment it waits for and the one it last replayed.
        samples = [STILL._replace(segment=name) for name in (FIRST, SECOND, FIRST, SECOND)]
        self.assertEqual(self.watch(samples)[0], [False, True, False, False])

    def test_measures_the_wal_that_was_replayed(self):
        later = "0000000100000001000000FF"
        watch = self.watch([STILL, STILL._replace(segment=later), STILL])[1]
        self.assertEqual(watch.replayed_bytes, (1 << 32) + (0xFF - 0x0A) * 16 * MIB)
        self.assertEqual(self.watch([STILL._replace(segment=None)])[1].replayed_bytes, 0)

    def test_describes_how_far_recovery_is(self):
        end = STILL._replace(segment=SECOND)
        self.assertEqual(
            self.watch([STILL, end])[2], "it replays WAL segment %s; 10 s ago it was at %s" % (SECOND, FIRST)
        )
        self.assertEqual(self.watch([STILL])[2], "it replays WAL segment %s, the same as 5 s ago" % FIRST)
        self.assertEqual(self.watch([STILL._replace(segment=None)])[2], "no WAL was seen to be replayed within 5 s")

    def test_adds_a_note_after_a_long_wait(self):
        for looks, expected in [
            (2, []),
            (13, ["it came up after 65 s, WAL segments %s to %s replayed" % (FIRST, SECOND)]),
        ]:
            with self.subTest(looks), mock.patch.object(recovery, "notes", []):
                self.watch([STILL] + [STILL._replace(segment=SECOND)] * (looks - 1))
                self.assertEqual(recovery.notes, expected)

    def test_tells_what_blocks_the_startup_process(self):
        for state, expected in [("S", None), ("R", None), ("D", "waits for a disk"), ("T", "was stopped by a signal")]:
            with self.subTest(state):
                self.assertEqual(self.watch([STILL._replace(state=state)])[1].blocked_by, expected)

    def test_activity_of_the_volume_does_not_count_after_wal_was_received(self):
        busy = STILL._replace(volume=32 * MIB)
        looks = [STILL, STILL._replace(receives=True), busy]
        self.assertEqual(self.watch(looks)[0], [False, False, False])
        self.assertEqual(self.watch([STILL, STILL, busy])[0], [False, False, True])


class Processes(unittest.TestCase):
    """The processes of a container, from proc(5)."""

    def sample(self, processes, first=10):
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
                    # Those of another container.
                    20: (1, "postgres -D /data"),
                    21: (20, "postgres: startup recovering " + SECOND),
                }
                self.assertEqual(self.sample(processes), Sample(13, "D", segment, 2.0, 12288, 1, 2, False))

    def test_the_first_process_is_the_postmaster_without_an_init(self):
        processes = {10: (1, "postgres -D /data"), 13: (10, "postgres: startup"), 14: (10, "postgres: walreceiver ")}
        found = self.sample(processes)
        self.assertEqual((found.pid, found.receives), (13, True))

    def test_finds_no_startup_process(self):
        running = {10: (1, "postgres -D /data"), 12: (10, "postgres: checkpointer")}
        self.assertIsNone(self.sample(running).pid)
        # A container that does not run has process 0, the parent of 1.
        self.assertIsNone(self.sample({1: (0, "init"), 2: (1, "postgres: startup")}, first=0).pid)


if __name__ == "__main__":
    unittest.main()
