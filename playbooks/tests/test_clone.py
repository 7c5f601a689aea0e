import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import clone
from postgres_cluster.image import Image
from postgres_cluster.spec import Spec, slot_name

IMAGE = Image("postgres@sha256:aa", 999, 999, 17, "glibc", ["/var/lib/postgresql/data"])
SPEC = Spec("orders", "node-2", "postgres:17", [], None, None, "", "", "node-1", "10.42.0.11")

# Programs that answer like a primary's, or print their arguments.
PSQL = """#!/bin/sh
case "$*" in
  *SHOW*) printf '%s\\n' "$NAMES" ;;
  *) printf 'ERROR:  42710\\n' >&2; exit 1 ;;
esac
"""
BASEBACKUP = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done
"""


class Copy(unittest.TestCase):
    """Invariant 8: a copy in progress acknowledges no commit."""

    def list_words(self, names):
        arguments = clone.list_copy_arguments(SPEC, IMAGE)
        script = arguments[arguments.index("sh") + 1 + len(["image"]) :]
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("psql", PSQL), ("pg_basebackup", BASEBACKUP)):
                path = os.path.join(folder, name)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                os.chmod(path, 0o755)
            env = dict(os.environ, PATH=folder + ":" + os.environ["PATH"], NAMES=names)
            done = subprocess.run(["sh", *script], env=env, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode("utf-8").splitlines()

    def test_its_name_is_in_no_list_of_standbys(self):
        words = self.list_words("ANY 1 (node_1, node_2, node_3)")
        conninfo = words[words.index("-d") + 1]
        self.assertIn("application_name='clone of node_2' ", conninfo)
        self.assertNotIn("application_name=%s" % slot_name(SPEC.node), conninfo)
        self.assertIn("--slot=node_2", words)

    def test_it_uses_no_slot_if_any_name_may_acknowledge(self):
        for names, expected in [
            ("", "--slot=node_2"),
            ("ANY 1 (node_1, node_2)", "--slot=node_2"),
            ("*", "--no-slot"),
            ("ANY 1 (*)", "--no-slot"),
            ('FIRST 1 (node_3, "*")', "--no-slot"),
        ]:
            with self.subTest(names):
                slots = [word for word in self.list_words(names) if "slot" in word and "host=" not in word]
                self.assertEqual(slots, [expected])


if __name__ == "__main__":
    unittest.main()
