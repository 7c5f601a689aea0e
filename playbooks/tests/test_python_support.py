import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from cluster_runner.python_support import explain_crash, is_crash, read_python

# As ansible-core 2.14 reports it for a node whose Python its modules cannot run on.
CRASH = {
    "failed": True,
    "msg": "MODULE FAILURE\nSee stdout/stderr for the exact error",
    "module_stdout": "",
    "module_stderr": "Traceback (most recent call last):\n  File \"<stdin>\", line 107, in <module>\nModuleNotFoundError: No "
    "module named 'ansible.module_utils.six.moves'\n",
}


class Crash(unittest.TestCase):
    def test_only_a_traceback_in_place_of_an_answer_is_one(self):
        self.assertTrue(is_crash(CRASH))
        for answer in [
            {},
            {"changed": False, "observation": {}},
            {"failed": True, "msg": "no primary", "log": "Traceback (most recent call last):"},
            {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "Shared connection to 10.0.0.1 closed."},
            {"failed": True, "msg": "MODULE FAILURE", "module_stderr": None},
        ]:
            with self.subTest(answer):
                self.assertFalse(is_crash(answer))


class Python(unittest.TestCase):
    def test_is_read_from_where_the_link_leads(self):
        for path, expected in [
            ("/usr/bin/python3.13\n", 13),
            ("Welcome\r\n/usr/bin/python3.11\r\n", 11),
            ("/usr/bin/python3", None),
            ("/usr/bin/python3.1x", None),
            ("/usr/bin/python3.13 && reboot", None),
            ("", None),
        ]:
            with self.subTest(path):
                self.assertEqual(read_python(path), expected)


class Explanation(unittest.TestCase):
    def test_names_what_was_found_and_what_to_install(self):
        self.assertEqual(
            explain_crash("cluster_observe", "2.14.18", 13),
            "cluster_observe crashed on this node's Python 3.13, and ansible-core 2.14.18 on the runner supports nodes up to "
            "Python 3.11. Install ansible-core 2.18 or later on the runner (pipx install ansible-core), then run this again",
        )
        for core, python, wanted in [("2.15.0", 12, "2.16"), ("2.17.4", 13, "2.18"), ("2.19.11", 14, "2.20")]:
            with self.subTest(core, python=python):
                self.assertIn("Install ansible-core %s or later" % wanted, explain_crash("m", core, python))

    def test_a_supported_or_unknown_python_has_none(self):
        for core, python in [
            ("2.14.18", 11),
            ("2.16.0", 12),
            ("2.18.0", 13),
            ("2.19.11", 13),
            ("2.22.0b2", 14),
            ("2.22.0", 15),
            ("2.14.18", None),
            ("3.0.0", 13),
        ]:
            with self.subTest(core, python=python):
                self.assertIsNone(explain_crash("m", core, python))


if __name__ == "__main__":
    unittest.main()
