import contextlib
import os
import struct
import subprocess
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import archive_get, catch_up, start
from postgres_cluster.archive_get import Range
from postgres_cluster.command import Pending, Problem
from postgres_cluster.image import Image
from postgres_cluster.spec import Outcome, Spec
from test_archive_push import SHELLS, Folder

MIB = 2**20
SIZE = 16 * MIB
# Left timeline 1 in segment 5, and timeline 2 at the beginning of segment 8.
ENDED = [{"timeline": 1, "end": "0/5000148"}, {"timeline": 2, "end": "0/8000000"}]
WAL = {"size": SIZE, "timeline": 3, "ended": ENDED, "oldest": "000000000000000C", "slots": [{"name": "node_2", "start": "0/E000060"}]}
IMAGE = Image("postgres@sha256:bb", 999, 999, 17, "glibc", [])
SPEC = Spec("orders", "node-2", "postgres:17", [], None, None, "port = '5432'\n", "hba", "node-1", "10.42.0.11", wal=WAL)


def name(timeline_number, number):
    return "%08X%016X" % (timeline_number, number)


class Ranges(unittest.TestCase):
    """A replica must never follow a timeline that its primary is not on."""

    def test_each_segment_belongs_to_one_timeline_of_the_primary(self):
        ended = [(1, "0/5000148"), (2, "0/8000000")]
        whole = [Range(1, 0, 5), Range(2, 5, 8), Range(3, 8, 14)]
        for what, given, expected in [
            ("without a promotion", (1, [], 14), [Range(1, 0, 14)]),
            # Segment 5 of timeline 1 may go on with changes that were given up; that of timeline 2 begins with a copy of it.
            ("with promotions", (3, ended, 14), whole),
            ("kept from an earlier timeline on", (3, ended, 7), [Range(1, 0, 5), Range(2, 5, 7)]),
            ("kept from before any", (3, ended, 3), [Range(1, 0, 3)]),
            ("two promotions in one segment", (3, [(1, "0/5000148"), (2, "0/5000200")], 7), [Range(1, 0, 5), Range(3, 5, 7)]),
        ]:
            with self.subTest(what):
                self.assertEqual(archive_get.list_ranges(*given, SIZE), expected)

    def test_names_follow_the_size_of_a_segment(self):
        ranges = archive_get.list_ranges(1, [], 300, 2**30)
        self.assertEqual(archive_get.list_names(ranges, 3, 5, 2**30), ["000000010000000000000003", "000000010000000100000000"])


class Script(Folder):
    """The script with a stand-in for pgBackRest."""

    def setUp(self):
        super().setUp()
        self.write("pgbackrest.conf", "[global]\nrepo1-type=s3\n[global:archive-get]\nprocess-max=2\n\n[global-db]\npg1-path=/x\n")
        text = archive_get.SCRIPT_TEXT
        for path, ours in [
            ("/etc/postgresql-cluster/pgbackrest.conf", self.folder + "/pgbackrest.conf"),
            ("/opt/pgbackrest/", self.folder + "/"),
        ]:
            self.assertIn(path, text)
            text = text.replace(path, ours)
        self.write("archive-get", text, 0o755)

    def get(self, shell, file, status=0, ranges=(Range(1, 0, 5), Range(2, 5, 0x10A0))):
        self.write("called", "")
        self.write("pgbackrest", '#!/bin/sh\necho "$*" > %s/called\nexit %d\n' % (self.folder, status), 0o755)
        command = archive_get.render_command(list(ranges), SIZE)
        words = command.replace("%f", file).replace("%p", "pg_wal/RECOVERYXLOG").split(" ")
        done = subprocess.run([*shell, self.folder + "/archive-get", *words[1:]], stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.stderr, b"")
        return done.returncode, self.read("called")

    def test_gets_what_is_the_primary_s_history_and_nothing_else(self):
        allowed = [name(1, 0), name(1, 4), name(2, 5), name(2, 9), "00000002000000000000000F", "000000020000000100000000",
                   "00000002000000100000009F"]
        refused = [
            # The last segment of a lost primary, and what it wrote after it.
            name(1, 5), name(1, 6),
            # A promotion that was given up.
            name(3, 5), "00000003.history", "00000002.history",
            # What the primary has, and what comes before its timeline.
            "0000000200000010000000A0", name(2, 4),
            name(1, 5) + ".partial", "", name(1, 4)[:-1], name(1, 4).replace("4", "g"), "../" + name(1, 4)[3:], name(0, 4),
        ]
        for shell in SHELLS:
            for file in allowed:
                with self.subTest(shell=shell, file=file):
                    # 16 MiB segments: the low part ends at FF.
                    code, called = self.get(shell, file)
                    self.assertEqual(code, 0)
                    self.assertIn("--stanza=global-db ", called)
                    self.assertTrue(called.endswith(" archive-get %s pg_wal/RECOVERYXLOG\n" % file))
            for file in refused:
                with self.subTest(shell=shell, file=file):
                    self.assertEqual(self.get(shell, file), (1, ""))

    def test_no_failure_ends_the_server(self):
        # PostgreSQL ends for a code above 125.
        for shell in SHELLS:
            for status in (1, 82, 103, 127, 137, 255):
                with self.subTest(shell=shell, status=status):
                    self.assertEqual(self.get(shell, name(1, 4), status)[0], 1)
            os.unlink(self.folder + "/pgbackrest.conf")
            self.assertEqual(self.get(shell, name(1, 4)), (1, ""))
            self.write("pgbackrest.conf", "[global]\n[orders]\n")


class FollowArchive(unittest.TestCase):
    """What the replica decides before it takes anything."""

    def follow(self, position="0/4000100", received=1, archived=None, wal=WAL, is_archiving=True):
        all_names = {name(1, 4), *[name(2, number) for number in (5, 6, 7)], *[name(3, number) for number in range(8, 14)]}
        with mock.patch.multiple(
            catch_up,
            read_replication=lambda spec: {"received": position, "lsn": "0/4000000"},
            find_received_timeline=lambda: received,
            list_archived=lambda cluster, folder: {one for one in (all_names if archived is None else archived) if one.startswith(folder)},
            is_archiving=lambda: is_archiving,
        ):
            return catch_up.follow_archive(SPEC._replace(wal=wal), True)

    def test_names_the_history_of_the_primary_up_to_what_its_slot_keeps(self):
        spec = self.follow()
        self.assertEqual(
            spec.conf,
            "port = '5432'\nrestore_command = '/opt/pgbackrest/archive-get %f %p "
            "00000001:0000000000000000-0000000000000005 00000002:0000000000000005-0000000000000008 "
            "00000003:0000000000000008-000000000000000E'\n",
        )
        self.assertEqual(spec.archived_until, 14 * SIZE)

    def test_asks_no_archive_for_what_the_primary_keeps(self):
        spec = SPEC._replace(wal=WAL)
        self.assertEqual(self.follow("0/E000000", 3, set()), spec)
        self.assertEqual(catch_up.follow_archive(SPEC._replace(wal=None), True), SPEC._replace(wal=None))
        # Still on the primary's disk.
        self.assertIn("restore_command", self.follow("0/D000000", 3, set()).conf)

    def test_refuses(self):
        for what, options, message in [
            ("a gap", {"archived": {name(1, 4), name(2, 5), name(2, 7)}}, "lacks WAL segment %s" % name(2, 6)),
            # The file of the timeline that was left has other content.
            ("another timeline's", {"archived": {name(1, number) for number in range(14)}}, "lacks WAL segment %s" % name(2, 5)),
            ("no answer", {"archived": set()}, "or does not answer"),
            ("changes that were given up", {"position": "0/5000200"}, "went another way"),
            ("another history", {"received": 4}, "went another way"),
            ("no archive", {"is_archiving": False}, "no configuration"),
            ("no slot", {"wal": dict(WAL, slots=[])}, "does not say"),
            ("a slot without WAL", {"wal": dict(WAL, slots=[{"name": "node_2", "start": None}])}, "does not say"),
            ("a command", {"wal": dict(WAL, ended=[dict(ENDED[0], end="0/5'; x"), ENDED[1]])}, "does not say"),
            ("another number", {"wal": dict(WAL, size=5)}, "does not say"),
            ("timelines without order", {"wal": dict(WAL, timeline=2)}, "does not say"),
        ]:
            with self.subTest(what):
                with self.assertRaises(Problem) as caught:
                    self.follow(**options)
                self.assertIn(message, caught.exception.message)


class Primary(Folder):
    """What the primary tells."""

    def tell(self, timeline_number):
        answers = [False, {"timeline": timeline_number}]
        session = mock.Mock(ask=lambda question: answers.pop(0))
        with mock.patch.multiple(
            catch_up,
            DATA=self.folder,
            Session=lambda container: contextlib.nullcontext(session),
            ensure_slots=lambda session, slots: slots == ["node_2"],
        ):
            return catch_up.tell_wal(SPEC, ["node_2"])

    def test_tells_its_own_history_and_no_other(self):
        os.makedirs(self.folder + "/pg_wal")
        self.write("pg_wal/00000003.history", "1\t0/5000148\tno recovery target specified\n\n# x\n2\t0/8000000\tbefore\n")
        self.write("pg_wal/00000004.history", "1\t0/1000000\tgiven up\n")
        outcome = self.tell(3)
        self.assertEqual((outcome.changed, outcome.facts), (True, {"wal": {"timeline": 3, "ended": ENDED}}))
        self.assertEqual(self.tell(1).facts["wal"]["ended"], [])
        with self.assertRaises(Problem):
            self.tell(2)


class Position(Folder):
    """How far a server that is down has received."""

    def test_recycled_segments_do_not_count(self):
        os.makedirs(self.folder + "/pg_wal")
        for file, begins in [(name(1, 4), 4), (name(1, 5), 5), (name(1, 6), 2), (name(1, 7), 7)]:
            with open("%s/pg_wal/%s" % (self.folder, file), "wb") as segment:
                segment.write(struct.pack("=HHIQ", 0xD116, 6, 1, begins * SIZE))
        head = mock.Mock(checkpoint=4 * SIZE + 40)
        with mock.patch.multiple(catch_up, DATA=self.folder, read_head=lambda: head):
            self.assertEqual(catch_up.find_position(SPEC, SIZE, False), 5 * SIZE)
            os.unlink("%s/pg_wal/%s" % (self.folder, name(1, 5)))
            self.assertEqual(catch_up.find_position(SPEC, SIZE, False), 4 * SIZE + 40)


class Start(unittest.TestCase):
    SPEC = SPEC._replace(source={"image": "postgres:17", "digest": "postgres@sha256:aa"})

    def start(self, follow, end=None):
        """`follow`: what follow_archive() does; `end`: how the wait for the server ends."""
        self.done = []
        start.notes.clear()

        def replica(spec, image, up, notes):
            self.done.append("follow %d" % spec.archived_until)
            if end is not None:
                raise end
            return True, {}

        def note_copy(spec, skip_wait=False):
            self.done.append("clone %s" % ("restore_command" in spec.conf))
            return Outcome(True)

        with mock.patch.multiple(
            start,
            inspect_container=lambda container: None,
            find_work=lambda cluster: None,
            follow_archive=follow,
            _start_replica=replica,
            find_fault=lambda spec, image: None,
            ask_once=lambda container, sql: None,
            is_accepting=lambda: False,
            clone=note_copy,
            Session=lambda container: contextlib.nullcontext(),
            apply_files=lambda spec, image, session: self.done.append("apply %s" % ("restore_command" in spec.conf)),
            forget_fetched=lambda: self.done.append("forget"),
            finish=lambda spec, image, changed: Outcome(changed),
        ):
            return start.start_server(self.SPEC, IMAGE)

    @staticmethod
    def catch_up(spec, up):
        return spec._replace(conf=spec.conf + "restore_command = 'x'\n", archived_until=7)

    @staticmethod
    def fail(spec, up):
        raise Problem("the archive lacks WAL")

    def test_leaves_the_archive_once_it_streams(self):
        self.start(self.catch_up)
        self.assertEqual(self.done, ["follow 7", "apply False", "forget"])
        self.assertIn("streams again without a clone", start.notes[0])

    def test_goes_on_with_the_archive_in_the_next_call(self):
        with self.assertRaises(Pending):
            self.start(self.catch_up, Pending())
        self.assertEqual(self.done, ["follow 7"])

    def test_is_cloned_if_the_archive_does_not_help(self):
        self.start(self.fail)
        self.assertEqual(self.done, ["clone False"])
        self.assertIn("(the archive lacks WAL), so it was cloned again", start.notes[0])
        self.start(self.catch_up, Problem("does not receive"))
        self.assertEqual(self.done, ["follow 7", "clone False"])

    def test_asks_no_archive_without_need(self):
        self.start(lambda spec, up: spec)
        self.assertEqual(self.done, ["follow 0"])


if __name__ == "__main__":
    unittest.main()
