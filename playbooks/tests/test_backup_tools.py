import contextlib
import os
import re
import sys
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import backup_tools
from postgres_cluster.command import Problem

# Debian 13, shortened.
LDD = """\tlinux-vdso.so.1 (0x00007f0000000000)
\tlibpq.so.5 => %(lib)s/libpq.so.5 (0x00007f0000001000)
\tlibc.so.6 => %(lib)s/libc.so.6 (0x00007f0000002000)
\t%(loader)s (0x00007f0000003000)
"""


class Bundle(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.root = stack.enter_context(tempfile.TemporaryDirectory())
        self.tools, self.etc, self.lib = self.root + "/tools", self.root + "/etc", self.root + "/lib"
        self.program, self.certificates = self.root + "/program", self.root + "/ca.crt"
        for folder in (self.etc, self.lib):
            os.mkdir(folder)
        for path in ("lib/libpq.so.5", "lib/libc.so.6", "lib/libresolv.so.2", "ld.so", "program", "ca.crt"):
            self.write(path, path)
        self.package, self.debian, self.installed = "2.55.1-1", 13, []
        self.unit = SimpleNamespace(
            install=lambda cluster: self.set_unit(True),
            remove=lambda cluster: self.set_unit(False),
            is_present=lambda: self.has_unit,
            is_installed=lambda cluster: self.has_unit,
        )
        self.has_unit = False
        values = {
            "TOOLS": self.tools,
            "VERSION": self.tools + "/version.json",
            "FOLDER": self.tools + "/lib-",
            "ETC": self.etc,
            "PROGRAM": self.program,
            "CERTIFICATES": self.certificates,
            "backup_unit": self.unit,
            "install": self.install,
            "forget_pushed": lambda: None,
            "read_debian": lambda: self.debian,
            "run": self.run_program,
        }
        stack.enter_context(mock.patch.multiple(backup_tools, **values))
        stack.enter_context(mock.patch("os.fchown", lambda *_: None))
        stack.enter_context(mock.patch("os.chown", lambda *_: None))

    def write(self, name, text):
        with open("%s/%s" % (self.root, name), "w") as file:
            file.write(text)

    def read(self, name):
        with open("%s/%s" % (self.tools, name)) as file:
            return file.read()

    def set_unit(self, has_unit):
        changed, self.has_unit = self.has_unit != has_unit, has_unit
        return changed

    def install(self, *packages):
        self.installed.append(packages)
        self.package = "2.55.1-1"

    def run_program(self, argv, **_):
        if argv[0] == "ldd":
            return SimpleNamespace(stdout=LDD % {"lib": self.lib, "loader": self.root + "/ld.so"})
        return SimpleNamespace(stdout="" if self.package is None else "installed %s" % self.package)

    def test_a_new_node_gets_the_package_and_the_bundle(self):
        self.package = None
        self.assertEqual(backup_tools.judge_tools("orders"), "absent")
        self.assertTrue(backup_tools.ensure_tools("orders"))
        self.assertEqual(self.installed, [("pgbackrest", "ca-certificates")])
        self.assertEqual(backup_tools.judge_tools("orders"), "ready")
        self.assertEqual(self.read("ca-certificates.crt"), "ca.crt")
        self.assertEqual(self.read("archive-push"), backup_tools.archive_push.SCRIPT_TEXT)
        self.assertEqual(self.read("archive-get"), backup_tools.archive_get.SCRIPT_TEXT)
        folder = re.search(r"exec (\S+)/loader ", self.read("pgbackrest")).group(1)
        self.assertEqual(sorted(os.listdir(folder)), ["libc.so.6", "libpq.so.5", "libresolv.so.2", "loader", "pgbackrest.bin"])
        for name in ("pgbackrest", "archive-push", "archive-get"):
            self.assertTrue(os.access("%s/%s" % (self.tools, name), os.X_OK))

    def test_comments_of_certificates_may_be_in_any_encoding(self):
        with open(self.certificates, "wb") as file:
            file.write(b"# M\xfcller\n-----BEGIN CERTIFICATE-----\n")
        backup_tools.ensure_tools("orders")
        self.assertEqual(backup_tools.judge_tools("orders"), "ready")
        self.assertIn("-----BEGIN CERTIFICATE-----", self.read("ca-certificates.crt"))

    def test_a_second_time_changes_nothing(self):
        backup_tools.ensure_tools("orders")
        self.assertFalse(backup_tools.ensure_tools("orders"))
        self.assertEqual(self.installed, [])

    def test_the_mounted_directory_stays_the_same(self):
        # A container that runs has it mounted: a new directory of that name would be invisible there.
        backup_tools.ensure_tools("orders")
        before = os.stat(self.tools).st_ino
        self.write("lib/libpq.so.5", "fixed")
        self.assertTrue(backup_tools.ensure_tools("orders"))
        self.assertTrue(backup_tools.remove_tools("orders"))
        self.assertEqual(os.stat(self.tools).st_ino, before)

    def test_a_newer_program_replaces_all_libraries_at_once(self):
        backup_tools.ensure_tools("orders")
        first = self.read("pgbackrest")
        self.package = "2.56-1"
        self.write("program", "newer")
        self.assertEqual(backup_tools.judge_tools("orders"), "outdated")
        self.assertTrue(backup_tools.ensure_tools("orders"))
        self.assertNotEqual(self.read("pgbackrest"), first)
        self.assertEqual(len([name for name in os.listdir(self.tools) if name.startswith("lib-")]), 1)
        self.assertEqual(backup_tools.judge_tools("orders"), "ready")

    def test_what_makes_it_outdated(self):
        def damage(name):
            os.unlink("%s/%s" % (self.tools, name))

        for name, change in [
            ("other certificates", lambda: self.write("ca.crt", "new")),
            ("a newer package", lambda: setattr(self, "package", "2.56-1")),
            ("no package", lambda: setattr(self, "package", None)),
            ("no wrapper", lambda: damage("pgbackrest")),
            ("an earlier script", lambda: self.write("tools/archive-push", "#!/bin/sh\n")),
            ("an interrupted installation", lambda: damage("version.json")),
            ("nonsense", lambda: self.write("tools/version.json", '{"folder": "../.."}')),
            ("no timer", lambda: self.set_unit(False)),
        ]:
            with self.subTest(name):
                backup_tools.ensure_tools("orders")
                self.assertEqual(backup_tools.judge_tools("orders"), "ready")
                change()
                self.assertEqual(backup_tools.judge_tools("orders"), "outdated")
                self.assertTrue(backup_tools.ensure_tools("orders"))
                self.assertEqual(backup_tools.judge_tools("orders"), "ready")

    def test_without_backups_only_the_empty_directory_is_left(self):
        backup_tools.ensure_tools("orders")
        for name in ("pgbackrest.conf", "backup.json", "pg_hba.conf"):
            self.write("etc/" + name, "")
        self.assertTrue(backup_tools.remove_tools("orders"))
        self.assertEqual((os.listdir(self.tools), os.listdir(self.etc)), ([], ["pg_hba.conf"]))
        self.assertEqual(backup_tools.judge_tools("orders"), "absent")
        self.assertFalse(backup_tools.remove_tools("orders"))

    def test_archiving_ends_before_its_programs_are_removed(self):
        # A command that is not found ends PostgreSQL's archiver.
        backup_tools.ensure_tools("orders")
        self.write("etc/pgbackrest.conf", "")
        with mock.patch.object(backup_tools, "_remove", side_effect=lambda _: self.assertEqual(os.listdir(self.etc), [])):
            backup_tools.remove_tools("orders")

    def test_a_node_that_never_had_any_is_left_alone(self):
        # Also where people have installed pgBackRest themselves.
        self.assertFalse(backup_tools.remove_tools("orders"))
        self.assertEqual(backup_tools.judge_tools("orders"), "absent")

    def test_an_earlier_debian_is_refused_before_anything_changes(self):
        for debian, words in [(12, "this node runs Debian 12. Replace the node"), (None, "runs another system. Replace")]:
            self.debian = debian
            with self.assertRaises(Problem) as caught:
                backup_tools.ensure_tools("orders")
            self.assertIn(words, caught.exception.message)
        self.assertFalse(os.path.exists(self.tools))

    def test_a_library_that_is_missing_is_named(self):
        with self.assertRaises(Problem) as caught:
            backup_tools.parse_ldd("\tlibzstd.so.1 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x1)\n")
        self.assertIn("lacks the library libzstd.so.1", caught.exception.message)

    def test_the_release_of_debian_is_read(self):
        for text, expected in [
            ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n', 13),
            ("ID=ubuntu\nVERSION_ID=\"24.04\"\nID_LIKE=debian\n", None),
            ("ID=debian\n", None),
            (None, None),
        ]:
            with self.subTest(text), mock.patch.object(backup_tools, "read_text", lambda _: text):
                self.assertEqual(READ_DEBIAN(), expected)


READ_DEBIAN = backup_tools.read_debian

if __name__ == "__main__":
    unittest.main()
