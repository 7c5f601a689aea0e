import os
import re
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import psql


class Options(unittest.TestCase):
    def test_leaves_out_settings_that_the_server_does_not_know(self):
        for major, expected in [(0, False), (14, False), (16, False), (17, True), (18, True)]:
            with self.subTest(major):
                options = psql.render_options(major)
                self.assertEqual("transaction_timeout" in options, expected)
                self.assertIn("-c search_path=pg_catalog ", options)
                self.assertIn("-c default_transaction_isolation=read\\ committed ", options)

    def test_every_word_is_an_option_with_a_value(self):
        words = re.split(r"(?<!\\) ", psql.render_options(18))
        self.assertEqual(words[::2], ["-c"] * (len(words) // 2))
        for word in words[1::2]:
            self.assertRegex(word, r"^[a-z_]+=[A-Za-z0-9_]*(\\ committed)?$")

    def test_takes_the_major_version_from_the_data(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(psql, "DATA", folder):
            self.assertEqual(psql.read_major(), 0)
            with open(os.path.join(folder, "PG_VERSION"), "w", encoding="ascii") as file:
                file.write("17\n")
            self.assertEqual(psql.read_major(), 17)
            self.assertIn("transaction_timeout=0", " ".join(psql.psql_arguments("postgres-orders")))


if __name__ == "__main__":
    unittest.main()
