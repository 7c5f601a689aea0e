import os
import subprocess
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import check, initialise
from postgres_cluster.collation import (
    Answers,
    advise,
    describe_orders,
    find_missing,
    find_moved,
    parse_answers,
    render_questions,
)
from postgres_cluster.command import Problem
from postgres_cluster.container import list_container_arguments
from postgres_cluster.image import Image
from postgres_cluster.initialise import list_locale_arguments
from postgres_cluster.needs import parse_lacks, render_questions as render_needs
from postgres_cluster.spec import Spec

IMAGE = Image("postgres@sha256:bb", 999, 999, 17, "glibc", ["/var/lib/postgresql/data"])
SPEC = Spec("orders", "node-1", "postgres:17", [], None, None, "", "", "node-1", "10.42.0.11")
WAY_OUT = "Label the pull request."


def database(provider="c", locale="en_US.utf8", version="2.36", recorded="2.36", **others):
    row = {"name": "app", "quoted": "app", "needs": [locale, locale]}
    return {**row, "provider": provider, "locale": locale, "version": version, "recorded": recorded, **others}


def stored(provider="d", locale=None, version=None, recorded=None, count=1, **others):
    row = {"collation": "pg_catalog.other", "provider": provider, "locale": locale, "version": version}
    return {**row, "recorded": recorded, "needs": [], "count": count, "names": ["public.i"], **others}


def describe(*found, major=17):
    return describe_orders(list(found), major)


def answer(libc="2.41", icu=None, locales=("C.UTF-8", "en_US.utf8")):
    return Answers(list(locales), libc, icu or {})


class Order(unittest.TestCase):
    """Invariant 7: no surprise makes data unreadable, as an index in another sort order is."""

    def test_what_would_be_sorted_in_another_order(self):
        icu = stored("i", "de", "153.120", "153.120")
        for name, orders, answers, expected in [
            ("another glibc", [(database(), [stored()])], answer(), ["app"]),
            ("the same glibc", [(database(), [stored()])], answer("2.36"), []),
            ("nothing stored", [(database(), [])], answer(), []),
            ("a database without connections", [(database(), None)], answer(), ["app"]),
            ("C.UTF-8", [(database(locale="C.UTF-8", version=None, recorded=None), [stored()])], answer(), []),
            ("builtin", [(database("b", "C.UTF-8", "1", "1"), [stored()])], answer(), []),
            ("musl, which has no versions", [(database(version=None, recorded=None), [stored()])], answer(None), []),
            ("built with an older one, never rebuilt", [(database(version="2.41"), [stored()])], answer(), ["app"]),
            ("back to the version that it was built with", [(database(version="2.41"), [stored()])], answer("2.36"), ["app"]),
            ("PostgreSQL 14 records no version", [(database(recorded=None), [stored()])], answer(), ["app"]),
            ("PostgreSQL 14, the same version", [(database(recorded=None), [stored()])], answer("2.36"), []),
            ("ICU in a database of C", [(database("b", "C.UTF-8", "1", "1"), [icu])], answer(icu={"de": "153.128"}), ["app"]),
            ("the same ICU", [(database("b", "C.UTF-8", "1", "1"), [icu])], answer(icu={"de": "153.120"}), []),
        ]:
            with self.subTest(name):
                moved = find_moved(describe(*orders), answers)
                self.assertEqual([one.database for one, _ in moved], expected)

    def test_locales_that_the_image_lacks_are_found(self):
        orders = describe((database("b", "C.UTF-8", "1", "1", needs=["de_DE.utf8", "C.UTF-8"]), []))
        self.assertEqual(find_missing(orders, answer()), "it has no locale de_DE.utf8 (of app)")
        self.assertIsNone(find_missing(orders, answer(locales=["de_DE.utf8", "C.UTF-8"])))
        icu = describe((database(), [stored("i", "de", "153", "153")]))
        self.assertEqual(find_missing(icu, answer()), "it has no locale de of ICU (of app)")

    def test_names_are_quoted_and_answers_are_matched_by_number(self):
        orders = describe(
            (database(locale="en'; DROP TABLE x; --"), [stored("i", "a'b", "1", "1"), stored("i", "de", "1", "1")])
        )
        self.assertIn("SET lc_monetary = 'en''; DROP TABLE x; --';", render_questions(orders))
        self.assertIn("locale = 'a''b'", render_questions(orders))
        found = parse_answers("locale 0\nicu 1 153.128\nlibc 2.41\n", orders)
        self.assertEqual(found, Answers(["en'; DROP TABLE x; --"], "2.41", {"de": "153.128"}))

    def test_the_advice_is_bounded_and_its_names_end_no_code_span(self):
        row = stored(count=400, names=["public.`a`"] * 10)
        [note] = advise(find_moved(describe((database(quoted='"a`b"'), [row])), answer()), 17)
        self.assertEqual(note.count("public.'a'"), 10)
        self.assertIn(" and 390 more", note)
        self.assertIn("Database `\"a'b\"` sorts by glibc 2.41 instead of 2.36 (en_US.utf8)", note)
        self.assertIn("`ALTER DATABASE \"a'b\" REFRESH COLLATION VERSION`", note)
        many = describe(*[(database(quoted="d%d" % number), [stored()]) for number in range(30)])
        notes = advise(find_moved(many, answer()), 14)
        self.assertEqual((len(notes), notes[-1]), (21, "The same goes for 10 more databases or collations"))
        self.assertNotIn("REFRESH", notes[0])


class Step(unittest.TestCase):
    def judge(self, **options):
        orders = describe((database(), [stored()]))
        return check.require_same_order(SPEC._replace(collation_way_out=WAY_OUT, **options), orders, answer())

    def test_another_order_is_refused_unless_allowed(self):
        with self.assertRaises(Problem) as caught:
            self.judge()
        self.assertIn("app: glibc 2.41 instead of 2.36 (en_US.utf8), 1 to rebuild", caught.exception.message)
        self.assertTrue(caught.exception.message.endswith(WAY_OUT))
        self.assertIn("nothing was changed", caught.exception.message)
        self.assertEqual(len(self.judge(collation_change=True)), 1)

    def test_the_message_ends_with_the_way_out_however_long_it_is(self):
        name = '"%s"' % ("x" * 63)
        rows = [stored()] * 50
        orders = describe(*[(database(quoted=name, needs=["l" * 60 + str(n)]), rows) for n in range(50)])
        with self.assertRaises(Problem) as caught:
            check.require_same_order(SPEC._replace(collation_way_out=WAY_OUT), orders, answer(locales=list(orders.needs)))
        # The callback truncates longer messages.
        self.assertLess(len(caught.exception.message), 4000)
        self.assertLess(len(find_missing(orders, answer())), 3800)

    def test_a_missing_locale_cannot_be_allowed(self):
        orders = describe((database(needs=["xx_YY"]), []))
        with self.assertRaises(Problem) as caught:
            check.require_same_order(SPEC._replace(collation_change=True), orders, answer())
        self.assertIn("no locale xx_YY (of app)", caught.exception.message)

    def test_the_order_is_read_only_if_the_image_changes(self):
        for digest, expected in [(IMAGE.pinned, []), ("postgres@sha256:aa", ["asked"])]:
            asked = []
            with self.subTest(digest), mock.patch.multiple(
                check,
                read_record=lambda: {"digest": digest},
                choose_image=lambda spec: IMAGE,
                read_orders=lambda container, major: asked.append("asked") or describe(),
                try_out=lambda spec, image, orders: check.Trial(None, None if orders is None else answer()),
            ):
                check.check(SPEC)
                self.assertEqual(asked, expected)


class Trial(unittest.TestCase):
    """The temporary server starts like the node's own server."""

    def setUp(self):
        with mock.patch.object(check, "read_memory_bytes", lambda: 2**30):
            self.trial = check._list_arguments(SPEC, IMAGE, "/tmp/x")
        self.own = list_container_arguments("orders", IMAGE, 2**30, {})

    def test_it_has_the_same_paths_and_privileges(self):
        def read(arguments, flag):
            return [value for name, value in zip(arguments, arguments[1:]) if name == flag]

        for flag in ("--user", "--cap-drop", "--security-opt", "--shm-size"):
            self.assertEqual(read(self.trial, flag), read(self.own, flag), flag)
        targets = [part for mount in read(self.own, "--mount") for part in mount.split(",") if "=/" in part]
        targets = [part.split("=")[1] for part in targets if part.split("=")[0] in ("target", "destination")]
        mounted = " ".join(self.trial)
        for target in targets:
            self.assertTrue("=%s" % target in mounted or "%s:rw" % target in mounted, target)

    def test_it_starts_a_second_time_with_the_configured_log_and_language(self):
        readable, own = self.trial[-3:-1]
        for name in ("logging_collector", "log_destination", "lc_messages"):
            self.assertIn("-c %s=" % name, readable)
            self.assertNotIn("-c %s=" % name, own)

    def test_the_message_names_the_setting_of_a_directory(self):
        fault = 'FATAL:  could not open log file "/logs/postgresql.log": No such file or directory'
        self.assertIn("(log_directory)", check.summarise(fault, "log_directory = '/logs'"))


class Needs(unittest.TestCase):
    def test_names_are_quoted_and_numbers_are_returned(self):
        questions = render_needs([{"kind": "locale", "name": "x'; DROP"}, {"kind": "file", "name": "a\\b"}])
        self.assertIn("SET lc_monetary = 'x''; DROP';", questions)
        self.assertIn("pg_stat_file(E'a\\\\b', true)", questions)
        self.assertEqual(parse_lacks("1\n0\n1\n"), [0, 1])


class NewCluster(unittest.TestCase):
    def test_it_has_an_order_that_no_library_changes(self):
        self.assertEqual(list_locale_arguments(16), ["--locale=C.UTF-8"])
        self.assertEqual(
            list_locale_arguments(17),
            ["--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
        )

    def test_it_falls_back_to_c_if_the_image_lacks_c_utf8(self):
        for stderr, expected in [
            ('initdb: error: invalid locale name "C.UTF-8"', ["--locale=C"]),
            ("initdb: error: No space left on device", None),
        ]:
            asked = []

            def run(argv, stderr=stderr, **_):
                asked.append([word for word in argv if "locale" in word])
                return subprocess.CompletedProcess(argv, 1 if "--locale=C.UTF-8" in argv else 0, "", stderr)

            with self.subTest(stderr), mock.patch.multiple(
                initialise,
                list_old_data=lambda: [],
                run=run,
                make_directory=lambda *_: None,
                sync_directory=lambda *_: None,
            ), mock.patch("shutil.rmtree"), mock.patch("os.rename"):
                if expected is None:
                    self.assertRaises(Problem, initialise.create_data, SPEC, IMAGE)
                else:
                    [note] = initialise.create_data(SPEC, IMAGE)
                    self.assertIn("postgres:17 has no locale C.UTF-8", note)
                    self.assertIn(expected, asked)


if __name__ == "__main__":
    unittest.main()
