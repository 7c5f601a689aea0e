import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster.sizes import GIB, MIB, measure_directory, show_bytes


class Sizes(unittest.TestCase):
    def test_sizes_are_shown_as_ec2_names_them(self):
        for number, text in [
            (20 * GIB, "20 GiB"),
            (1.5 * GIB, "1.5 GiB"),
            (100 * GIB + 1, "100 GiB"),
            (300 * MIB, "300 MiB"),
            (0, "0 MiB"),
        ]:
            self.assertEqual(show_bytes(number), text)

    def test_a_directory_is_measured_with_all_that_it_holds(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(measure_directory(folder + "/none"), 0)
            os.makedirs(folder + "/base/1")
            for name in ("a", "base/1/b"):
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(b"x" * 65536)
            os.symlink("/usr", folder + "/link")
            self.assertGreaterEqual(measure_directory(folder), 2 * 65536)
            self.assertLess(measure_directory(folder), 3 * 65536)


if __name__ == "__main__":
    unittest.main()
