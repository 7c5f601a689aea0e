import json
import os
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import check, control, handover, layout, lsn, observe, signals, switchover, timeline
from postgres_cluster.command import Problem

CONTROL = (
    "Database cluster state:               %s\n"
    "Latest checkpoint location:           %s\n"
    "Latest checkpoint's TimeLineID:       %d\n"
    "Minimum recovery ending location:     %s\n"
    "Min recovery ending loc's timeline:   %d\n"
)


class Position(unittest.TestCase):
    def test_the_later_of_checkpoint_and_minimum_recovery_point(self):
        for text, expected in [
            (("shut down", "0/3000148", 2, "0/0", 0), ("shut down", 2, "0/3000148")),
            (("shut down in recovery", "0/9000148", 1, "0/A000060", 2), ("shut down in recovery", 2, "0/A000060")),
            # Compared as numbers, not as text.
            (("in archive recovery", "0/FFFFFFFF", 1, "1/0", 2), ("in archive recovery", 2, "1/0")),
        ]:
            with self.subTest(text):
                found = control.parse_position(CONTROL % text)
                self.assertEqual((found["state"], found["timeline"], found["lsn"]), expected)

    def test_an_unreadable_control_file_is_a_problem(self):
        with self.assertRaises(Problem):
            control.parse_position("Status des Datenbank-Clusters: heruntergefahren\n")

    def test_formats_positions_as_postgresql_does(self):
        for text in ("0/0", "1/A0", "FFFFFFFF/FFFFFFFF"):
            self.assertEqual(lsn.format_lsn(lsn.parse_lsn(text)), text)

    def test_reads_the_head_of_the_control_file(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(control, "DATA", folder):
            self.assertIsNone(control.read_head())
            os.mkdir(folder + "/global")
            head = struct.pack("=QIIi4xqQQI", 7, 1300, 202406281, 1, 0, 0x3000148, 0x3000148, 2)
            with open(folder + "/global/pg_control", "wb") as file:
                file.write(head.ljust(8192, b"\0"))
            self.assertEqual(control.read_head(), control.Control(7, "shut down", 0x3000148, 2))


class Lag(unittest.TestCase):
    """How long a switchover waits for the new primary; each answer of the old primary takes 20 s here."""

    def wait(self, mebibytes, **options):
        spec = mock.Mock(primary="node-2", node="node-1")
        session = mock.Mock()
        session.ask.side_effect = [[] if lag is None else [lag * 1024 * 1024] for lag in mebibytes]
        clock = mock.Mock(monotonic=lambda: session.ask.call_count * 20.0, sleep=lambda _: None)
        with mock.patch.object(switchover, "time", clock):
            switchover._wait_for_lag(session, spec, **options)

    def test_waits_before_the_hand_over_while_the_lag_shrinks(self):
        self.wait([900, 700, 500, 300, 100, 16], patient=True)

    def test_does_not_wait_if_the_lag_does_not_shrink(self):
        with self.assertRaisesRegex(Problem, "node-2 is 950 MiB behind .came no nearer within 30 s.*nothing was stopped"):
            self.wait([900, 900, 950, 950], patient=True)
        with self.assertRaisesRegex(Problem, "node-2 is not streaming"):
            self.wait([None, None, None], patient=True)

    def test_waits_no_longer_than_the_limit_during_the_hand_over(self):
        with self.assertRaisesRegex(Problem, "node-2 is 500 MiB behind .waited for 30 s"):
            self.wait([900, 500, 300])


class ReceivedTimeline(unittest.TestCase):
    def check(self, names, expected):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(folder + "/pg_wal")
            os.mkdir(folder + "/pg_wal/archive_status")
            for name in names:
                open("%s/pg_wal/%s" % (folder, name), "wb").close()
            with mock.patch.object(timeline, "DATA", folder):
                self.assertEqual(timeline.find_received_timeline(), expected)

    def test_is_the_timeline_of_the_latest_segment(self):
        self.check([], 0)
        self.check(["000000010000000000000003"], 1)
        self.check(["000000010000000000000004", "000000020000000000000004", "00000002.history"], 2)
        # Hexadecimal.
        self.check(["000000090000000000000004", "0000000A0000000000000004"], 10)

    def test_ignores_a_history_file_without_a_segment(self):
        # Diverged data has it, and so does a replica whose primary was just promoted.
        self.check(["000000010000000000000003", "00000002.history"], 1)

    def test_is_zero_without_data(self):
        with mock.patch.object(timeline, "DATA", "/nowhere"):
            self.assertEqual(timeline.find_received_timeline(), 0)

    def test_a_stopped_server_is_on_the_timeline_that_it_received(self):
        lagging = {"state": "in archive recovery", "timeline": 1, "lsn": "0/3000148"}
        for received, expected in [(0, 1), (1, 1), (2, 2)]:
            with self.subTest(received), mock.patch.multiple(
                observe,
                judge_data=lambda: "complete",
                read_record=lambda: {"digest": "postgres@sha256:1"},
                read_position=lambda reference: lagging,
                find_received_timeline=lambda received=received: received,
            ):
                found = observe._observe_control(None, {"image": "postgres:17"})
                self.assertEqual(found, {**lagging, "timeline": expected})


class Observation(unittest.TestCase):
    def test_parses_a_timeline_history(self):
        text = "1\t0/3000148\tno recovery target specified\n\n# comment\n2\t1/A0\tafter a switchover\n"
        expected = [{"timeline": 1, "switchLsn": "0/3000148"}, {"timeline": 2, "switchLsn": "1/A0"}]
        self.assertEqual(observe.parse_history(text), expected)
        self.assertEqual(observe.parse_history(""), [])

    def test_locates_a_segment(self):
        mib = 1024 * 1024
        for name, size, expected in [
            ("0000000000000002", 16 * mib, "0/2000000"),
            ("0000000100000003", 64 * mib, "1/C000000"),
            (None, 16 * mib, "0/0"),
        ]:
            self.assertEqual(observe.locate_segment(name, size), expected)


class Fault(unittest.TestCase):
    def test_summarises_the_log_of_a_failed_check(self):
        conf = "shared_preload_libraries = 'auto_explain, nobody'\nmax_connections = '100'\n"
        for said, expected in [
            (
                'FATAL:  could not access file "nobody": No such file or directory\n',
                'could not access file "nobody": No such file or directory (shared_preload_libraries)',
            ),
            (
                'LOG:  unrecognized configuration parameter "x" in file "%s/postgresql.conf" line 3\n'
                'FATAL:  configuration file "%s/postgresql.conf" contains errors\n' % (check.CONTAINER_ETC, check.CONTAINER_ETC),
                'unrecognized configuration parameter "x" in postgresql.conf line 3',
            ),
            (
                "LOG:  starting PostgreSQL 17\nFATAL:  too much\nDETAIL:  shared_buffers\nHINT:  less\n",
                "too much; shared_buffers; less",
            ),
            ("Bus error\n", "Bus error"),
        ]:
            with self.subTest(said):
                self.assertEqual(check.summarise(said, conf), expected)


class Fence(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = folder.name + "/data"
        for name, value in (("DATA", self.data),):
            patch = mock.patch.object(signals, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        # The default of an argument is bound when the function is defined.
        write, remove = signals.write_signal, signals.remove_signal
        for name, function in (
            ("write_signal", lambda name, directory=self.data: write(name, directory)),
            ("remove_signal", lambda name, directory=self.data: remove(name, directory)),
        ):
            patch = mock.patch.object(signals, name, function)
            patch.start()
            self.addCleanup(patch.stop)

    def test_is_raised_and_lifted_once(self):
        self.assertFalse(signals.raise_fence())
        os.mkdir(self.data)
        self.assertTrue(signals.raise_fence())
        self.assertFalse(signals.raise_fence())
        self.assertEqual(sorted(os.listdir(self.data)), [layout.FORMER_PRIMARY, "standby.signal"])
        self.assertTrue(signals.is_marked(self.data))
        self.assertTrue(signals.lift_fence())
        self.assertFalse(signals.lift_fence())
        self.assertEqual(os.listdir(self.data), [])

    def test_a_replicas_data_gets_no_mark(self):
        os.mkdir(self.data)
        with open(self.data + "/standby.signal", "w"):
            pass
        self.assertFalse(signals.raise_fence())
        self.assertFalse(signals.is_marked(self.data))


def retry(connect):
    """Calls `connect` until the port is open."""
    for _ in range(200):
        try:
            return connect()
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError("nothing listens")


class Handover(unittest.TestCase):
    TABLE = (
        "  sl  local_address rem_address   st tx_queue\n"
        "   0: 00000000:1538 00000000:0000 0A 00000000:00000000\n"
        "   1: 0B002A0A:1538 0C002A0A:C350 01 00000000:00000000\n"
    )

    def test_finds_the_connection_of_the_new_primary(self):
        for address, port, expected in [
            ("10.42.0.12", 50000, True),
            ("10.42.0.12", 50001, False),
            ("10.42.0.13", 50000, False),
            ("0.0.0.0", 0, False),
        ]:
            wanted = handover.encode_address(address, port)
            self.assertEqual(handover.has_connection(self.TABLE, wanted), expected)

    def exchange(self, peer, nonce, before=lambda port: None):
        """Runs both sides over a local port; `before` connects to the sender first. Returns (acknowledged, message)."""
        port = handover.choose_port()
        sent = []
        with mock.patch.object(handover, "PORT", port), mock.patch.object(handover, "EXCHANGE_SECONDS", 1.0):
            message = {"nonce": "n", "state": "shut down", "lsn": "0/28", "timeline": 1, "unarchived": None, "dropped": None}
            sender = threading.Thread(target=lambda: sent.append(handover.send_end(peer, message, 2)))
            sender.start()
            before(port)
            with mock.patch.object(handover, "END_SECONDS", 1.5):
                received = handover.receive_end("127.0.0.1", nonce, lambda: False)
            sender.join()
        return sent[0], received

    def test_sends_the_end_to_the_new_primary(self):
        is_sent, received = self.exchange("127.0.0.1", "n")
        self.assertTrue(is_sent)
        self.assertEqual(received["lsn"], "0/28")

    def test_sends_nothing_to_any_other_address(self):
        self.assertEqual(self.exchange("127.0.0.2", "n"), (False, None))

    def test_ignores_a_message_without_a_valid_position(self):
        end = {"nonce": "n", "state": "shut down", "lsn": "0/28", "timeline": 1, "unarchived": None, "dropped": None}
        for change, expected in [
            ({}, True),
            ({"lsn": None}, False),
            ({"lsn": ["0/28"]}, False),
            ({"lsn": "0/28'; DROP TABLE x"}, False),
            ({"lsn": "0/28\n"}, False),
            ({"state": 1}, False),
            ({"unarchived": "000000010000000000000003"}, True),
            ({"unarchived": "../../000000010000000000000003"}, False),
            ({"unarchived": 3}, False),
            ({"dropped": {"files": 2, "since": 100, "last": "000000010000000000000003"}}, True),
            ({"dropped": {"files": 2, "since": 100, "last": None}}, True),
            ({"dropped": {"files": 2, "since": 0, "last": None}}, True),
            ({"dropped": {"files": 2, "since": -1, "last": None}}, False),
            ({"dropped": {"files": 2, "since": 100}}, False),
            ({"dropped": {"files": 2, "since": "100", "last": None}}, False),
            ({"dropped": {"files": 2, "since": 2**50, "last": None}}, False),
            ({"dropped": {"files": 2, "since": 100, "last": "../000000010000000000003"}}, False),
            ({"dropped": {"files": 2, "since": 100, "last": 200}}, False),
        ]:
            with self.subTest(change):
                line = (json.dumps({**end, **change}) + "\n").encode("ascii")
                here, there = socket.socketpair()
                with here, there, mock.patch.object(socket, "create_connection", return_value=here):
                    there.sendall(line)
                    with mock.patch.object(handover, "END_SECONDS", 0.02):
                        received = handover.receive_end("10.42.0.11", "n", lambda: False)
                self.assertEqual(received is not None, expected)

    def test_a_wal_receiver_that_reconnects_does_not_block_the_exchange(self):
        def connect(port):
            receiver = retry(lambda: socket.create_connection(("127.0.0.1", port)))
            self.addCleanup(receiver.close)
            # SSLRequest (PostgreSQL manual, 54.7 "Message Formats"); then it waits for an answer.
            receiver.sendall(struct.pack("!ii", 8, 80877103))

        is_sent, received = self.exchange("127.0.0.1", "n", connect)
        self.assertTrue(is_sent)
        self.assertEqual(received["lsn"], "0/28")

    def test_ignores_a_message_with_another_nonce(self):
        self.assertEqual(self.exchange("127.0.0.1", "m"), (False, None))

    def test_a_node_that_cannot_connect_is_not_ready(self):
        port, own = handover.choose_port(), handover.choose_port()
        with mock.patch.object(handover, "PORT", port), mock.patch.object(handover, "READY_SECONDS", 0.2):
            self.assertFalse(handover.signal_readiness("127.0.0.1", own))
            with socket.create_server(("127.0.0.1", port)) as server:
                held = []
                holder = threading.Thread(target=lambda: held.append(handover.signal_readiness("127.0.0.1", own)))
                holder.start()
                connection, peer = server.accept()
                self.assertEqual(peer, ("127.0.0.1", own))
                connection.close()
                holder.join()
        self.assertEqual(held, [True])

    def test_the_startup_message_has_the_length_it_declares(self):
        self.assertEqual(struct.unpack("!i", handover.STARTUP[:4])[0], len(handover.STARTUP))


if __name__ == "__main__":
    unittest.main()
