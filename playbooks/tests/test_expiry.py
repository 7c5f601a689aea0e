import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import expiry

CONF = "# Written by Postgres Cluster Action.\n[global]\nrepo1-path=/orders\nrepo1-retention-full=7\n\n[orders]\npg1-user=postgres\n"


class Expiry(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name + "/pgbackrest.conf"
        patch = mock.patch.object(expiry, "ETC", folder.name)
        patch.start()
        self.addCleanup(patch.stop)

    def write(self, mode=0o644):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(CONF)
        os.chmod(self.path, mode)

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def test_the_file_says_that_nothing_is_deleted(self):
        self.write()
        (note,) = expiry.hold_expiry()
        self.assertIn("retention_days: 7", note)
        self.assertEqual(self.read(), CONF.replace("[global]\n", "[global]\nexpire-auto=n\n"))

    def test_once(self):
        self.write()
        expiry.hold_expiry()
        held = self.read()
        # A run that was cut may not have said so.
        self.assertEqual(len(expiry.hold_expiry()), 1)
        self.assertEqual(self.read(), held)

    def test_the_file_of_an_encrypted_repository_stays_with_its_owner(self):
        self.write(0o600)
        status = mock.Mock(st_mode=0o100600, st_uid=999, st_gid=998)
        with mock.patch.object(expiry.os, "stat", return_value=status), mock.patch("os.fchown") as chown:
            expiry.hold_expiry()
        self.assertEqual(chown.call_args.args[1:], (999, 998))
        self.assertEqual(os.stat(self.path).st_mode & 0o7777, 0o600)

    def test_nothing_is_written_without_backups(self):
        self.assertEqual(expiry.hold_expiry(), [])
        self.assertFalse(os.path.exists(self.path))


if __name__ == "__main__":
    unittest.main()
