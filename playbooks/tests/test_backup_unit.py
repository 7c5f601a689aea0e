import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import backup_unit, files


class Unit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.units = self.folder + "/units"
        os.makedirs(self.units + "/timers.target.wants")
        self.calls = []

        def run(argv, **_):
            self.calls.append(" ".join(argv[1:]))
            link = "%s/timers.target.wants/%s" % (self.units, argv[-1])
            if argv[1] == "enable":
                os.symlink("%s/%s" % (self.units, argv[-1]), link)
            if argv[1] == "disable" and os.path.lexists(link):
                os.unlink(link)

        def write(path, text, mode=0o644):
            return files.write_text(path, text, mode, (os.getuid(), os.getgid()))

        program = self.folder + "/program"
        patch = mock.patch.multiple(
            backup_unit,
            FOLDER=program,
            PACKAGE=program + "/postgres_cluster",
            UNITS=self.units,
            WANTED=self.units + "/timers.target.wants",
            ORDER=self.folder + "/order.json",
            WATCHED=self.folder + "/watched.json",
            STATE=self.folder + "/state.json",
            run=run,
            write_text=write,
            make_directory=lambda path: os.makedirs(path, exist_ok=True),
        )
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_second_installation_changes_nothing(self):
        self.assertFalse(backup_unit.is_present())
        self.assertFalse(backup_unit.is_installed("orders"))
        self.assertFalse(backup_unit.is_installed())
        self.assertTrue(backup_unit.install("orders"))
        self.assertTrue(backup_unit.is_installed("orders"))
        self.assertTrue(backup_unit.is_installed())
        self.assertEqual(backup_unit.find_cluster(), "orders")
        self.calls.clear()
        self.assertFalse(backup_unit.install("orders"))
        self.assertEqual(self.calls, [])

    def test_any_difference_is_noticed_and_mended(self):
        backup_unit.install("orders")
        for path in [*backup_unit.list_files("orders"), self.units + "/timers.target.wants/postgres-cluster-orders-backup.timer"]:
            with self.subTest(os.path.basename(path)):
                os.unlink(path)
                self.assertFalse(backup_unit.is_installed("orders"))
                if os.path.lexists(self.units + "/timers.target.wants/postgres-cluster-orders-backup.timer"):
                    os.unlink(self.units + "/timers.target.wants/postgres-cluster-orders-backup.timer")
                self.assertTrue(backup_unit.install("orders"))
                self.assertTrue(backup_unit.is_installed("orders"))

    def test_a_removal_leaves_nothing_and_ends_the_timer_first(self):
        backup_unit.install("orders")
        for name in ("order", "watched", "state"):
            files.write_text("%s/%s.json" % (self.folder, name), "{}", owner=(os.getuid(), os.getgid()))
        self.calls.clear()
        self.assertTrue(backup_unit.remove("orders"))
        # Old failures must not be reported once backups begin again.
        self.assertEqual(sorted(os.listdir(self.folder)), ["units"])
        self.assertEqual(
            self.calls[:2],
            ["stop postgres-cluster-orders-backup.timer", "stop postgres-cluster-orders-backup.service"],
        )
        self.assertFalse(backup_unit.is_present())
        self.assertEqual(os.listdir(self.units), ["timers.target.wants"])
        self.assertEqual(os.listdir(self.units + "/timers.target.wants"), [])
        self.calls.clear()
        self.assertFalse(backup_unit.remove("orders"))
        self.assertEqual(self.calls, [])

    def test_the_installed_program_needs_nothing_else(self):
        backup_unit.install("orders")
        # Imports all that main() needs. Without an argument it ends there.
        program = "import postgres_cluster.backup_program as program; print(program.__file__)"
        result = subprocess.run(
            [sys.executable, "-B", "-c", program],
            cwd=self.folder + "/program",
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
        self.assertEqual(result.stderr, "")
        self.assertTrue(os.path.realpath(result.stdout.strip()).startswith(os.path.realpath(self.folder)))

    def test_no_code_is_installed_that_the_program_does_not_need(self):
        backup_unit.install("orders")
        program = (
            "import sys, postgres_cluster.backup_program; "
            "print(*sorted(name[17:] for name in sys.modules if name.startswith('postgres_cluster.')))"
        )
        result = subprocess.run(
            [sys.executable, "-B", "-c", program],
            cwd=self.folder + "/program",
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
        installed = sorted(name[:-3] for name in os.listdir(self.folder + "/program/postgres_cluster") if name != "__init__.py")
        self.assertEqual(result.stdout.split(), installed)


if __name__ == "__main__":
    unittest.main()
