import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))
sys.path.insert(0, os.path.dirname(__file__))

from postgres_cluster import backup_run, restored_order
from postgres_cluster.collation import find_missing, find_moved
from postgres_cluster.command import Problem
from test_collation import IMAGE, SPEC, answer, database, describe, stored

OTHER = "mirror.example/postgres@sha256:cc"
SAME = "mirror.example/postgres@sha256:bb"
# Three databases: sorted by glibc, by code point, and with nothing that is stored in an order.
EQUAL = [
    (database(), [stored()]),
    (database("b", "C.UTF-8", "1", "1", quoted="plain"), [stored()]),
    (database(version="2.41", quoted="bare"), []),
]
ICU = stored("i", "de", "153.128", "153.120", collation="public.german")
MOVED = (database(version="2.41", quoted='"Shop"'), [stored()])


class Restored(unittest.TestCase):
    """Invariant 7: no surprise makes data unreadable, as an index in another sort order is."""

    def note(self, *found, writer=OTHER, major=17):
        with mock.patch.object(restored_order, "read_orders", lambda container, number: describe(*found, major=number)):
            return restored_order.note_order(SPEC, IMAGE._replace(major=major), writer)

    def require(self, *found):
        with mock.patch.object(restored_order, "read_orders", lambda container, number: describe(*found, major=number)):
            return restored_order.require_order(SPEC, 17)

    def test_nothing_is_said_where_all_is_sorted_as_before(self):
        self.assertEqual((self.note(*EQUAL), self.require(*EQUAL)), ([], []))
        # PostgreSQL 14 records nothing for a database's own collation.
        self.assertEqual(self.note((database(recorded=None), [stored()]), writer=SAME, major=14), [])

    def test_another_library_is_named_with_what_to_rebuild(self):
        first, shop, german = self.note(*EQUAL, MOVED, (database("b", "C.UTF-8", "1", "1", quoted="text"), [ICU]), writer=SAME)
        self.assertIn("node-1 was restored with an image whose libraries sort text in another version", first)
        self.assertEqual(
            shop,
            'Database `"Shop"` sorts by glibc 2.41 instead of 2.36 (en_US.utf8): rebuild `public.i` (indexes with `REINDEX INDEX '
            'CONCURRENTLY`, tables partitioned by range by moving their rows). Then `ALTER DATABASE "Shop" REFRESH COLLATION VERSION`.',
        )
        self.assertIn("`text` sorts by ICU 153.128 instead of 153.120 (de)", german)
        self.assertIn("`ALTER COLLATION public.german REFRESH VERSION`", german)
        [problem] = self.require(*EQUAL, MOVED)
        self.assertIn('were built with, so these are not to be trusted: "Shop": glibc 2.41 instead of 2.36 (en_US.utf8), 1 to rebuild.', problem)

    def test_what_is_not_recorded_is_said_unless_the_image_is_the_same(self):
        row = (database(recorded=None), [stored()])
        for writer, words in [(OTHER, "with another image than postgres:17,"), (None, "with an image that is not known,")]:
            [note] = self.note(row, writer=writer, major=14)
            self.assertIn(words, note)
            self.assertIn("by which library version text is sorted in `app`: ", note)
            self.assertNotIn("REFRESH", note)
        # Of a rehearsal it is no difference.
        self.assertEqual(self.require(row), [])

    def test_an_image_without_versions_is_another_family(self):
        row = (database(version=None), [stored()])
        [note] = self.note(row)
        self.assertIn("an image without glibc, whose order PostgreSQL recorded for `app`", note)
        self.assertIn("app`: glibc, which the image does not have", self.require(row)[0])
        # A change of the image is judged as before: musl sorts as it did.
        orders = describe(row)
        self.assertEqual((find_moved(orders, answer(None)), find_missing(orders, answer(None))), ([], None))

    def test_a_server_that_does_not_answer_fails_no_restore_and_passes_no_rehearsal(self):
        def refuse(*_):
            raise Problem("the server refused a query")

        for read, words in [(lambda *_: None, "the server did not answer"), (refuse, "the server refused a query")]:
            with mock.patch.object(restored_order, "read_orders", read):
                [note] = restored_order.note_order(SPEC, IMAGE, None)
            self.assertIn("it is not known whether node-1 sorts text as the source did (%s)" % words, note)
        with mock.patch.object(restored_order, "read_orders", lambda *_: None):
            self.assertEqual(len(restored_order.require_order(SPEC, 17)), 1)

    def test_a_backup_says_which_image_sorted_its_text(self):
        for record, expected in [
            ({"digest": "postgres@sha256:aa"}, ["--annotation=image=postgres@sha256:aa"]),
            ({"digest": "x\ny"}, []),
            ({}, []),
            (None, []),
        ]:
            with mock.patch.object(backup_run, "read_json", lambda path, record=record: record):
                self.assertEqual(backup_run.list_annotations(), expected)


if __name__ == "__main__":
    unittest.main()
