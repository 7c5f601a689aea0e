import os
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import archive_size

# As pgBackRest 2.55 prints it.
LIST = (
    '{".":{"type":"path"},"17-1":{"type":"path"},"17-1/0000000100000000":{"type":"path"},'
    '"17-1/0000000100000000/000000010000000000000001-aa.zst":{"type":"file","size":1200,"time":1795740000},'
    '"a\\"size\\":77}":{"type":"file","size":34,"time":1795740000},'
    '"archive.info":{"type":"file","size":5}}'
)


class ArchiveSize(unittest.TestCase):
    def measure(self, script, **names):
        with tempfile.TemporaryDirectory() as folder:
            program = folder + "/pgbackrest"
            with open(program, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n" + script)
            os.chmod(program, 0o755)
            self.arguments = folder + "/arguments"
            with mock.patch.multiple(archive_size, PGBACKREST=program, **names), mock.patch("builtins.print"):
                return archive_size.measure_archive("orders")

    def test_adds_up_what_is_listed(self):
        self.assertEqual(self.measure("cat <<'END'\n%s\nEND\n" % LIST), 1239)
        self.assertEqual(self.measure("echo '{}'"), 0)

    def test_wherever_a_chunk_ends(self):
        for size in range(1, len(LIST)):
            self.assertEqual(self.measure("cat <<'END'\n%s\nEND\n" % LIST, CHUNK=size), 1239)

    def test_asks_for_the_archive_of_the_cluster(self):
        script = "[ \"$*\" = \"--config=/etc/postgresql-cluster/x --stanza=orders --log-level-console=off --log-level-stderr=error "
        script += "--output=json --recurse repo-ls archive/orders\" ] && echo '{\"a\":{\"size\":1}}'"
        self.assertEqual(self.measure(script, ETC="/etc/postgresql-cluster", BACKREST_CONF="x"), 1)

    def test_a_list_that_fails_or_takes_too_long_has_no_size(self):
        self.assertIsNone(self.measure("echo '%s'; exit 39" % LIST))
        start = time.monotonic()
        self.assertIsNone(self.measure("echo '{'; exec sleep 30", LIST_SECONDS=0.2))
        self.assertLess(time.monotonic() - start, 10)
        with mock.patch.object(archive_size, "PGBACKREST", "/missing/pgbackrest"), mock.patch("builtins.print"):
            self.assertIsNone(archive_size.measure_archive("orders"))

    def test_more_than_any_bucket_holds_is_no_size(self):
        self.assertIsNone(self.measure("echo '{\"a\":{\"size\":9007199254740992}}'"))


if __name__ == "__main__":
    unittest.main()
