import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import server
from postgres_cluster.container import LABEL_OPTIONS
from postgres_cluster.image import Image
from postgres_cluster.spec import Spec

IMAGE = Image("postgres@sha256:aa", 999, 999, 17, "glibc", ["/var/lib/postgresql/data"])
SPEC = Spec("orders", "node-1", "postgres:17", [], None, None, "", "", "node-1", "10.42.0.11")


def describe(running, restarting=False, options="earlier"):
    state = {"Running": running, "Restarting": restarting}
    return {"State": state, "Config": {"Labels": {LABEL_OPTIONS: options}}}


class Container(unittest.TestCase):
    """Invariant 9: only a restart's step stops a server that runs."""

    def list_done(self, found):
        done = []
        with mock.patch.multiple(
            server,
            require_mounted=lambda cluster: None,
            list_arguments=lambda spec, image: ["--label", LABEL_OPTIONS + "=today"],
            inspect_container=lambda name: found,
            remove_container=lambda name: done.append("rm"),
            run=lambda argv, **options: done.append(argv[1]),
        ), mock.patch("os.path.isdir", lambda path: True):
            changed = server.ensure_container(SPEC, IMAGE)
        return changed, done

    def test_what_is_done_to_it(self):
        for name, found, expected in [
            ("none", None, ["run"]),
            ("runs with what an earlier version gave it", describe(True), []),
            ("runs", describe(True, options="today"), []),
            ("stands still with what an earlier version gave it", describe(False), ["rm", "run"]),
            ("stands still", describe(False, options="today"), ["start"]),
            ("is tried again and again", describe(True, True, "today"), ["stop", "start"]),
            ("is tried again and again, made earlier", describe(True, True), ["rm", "run"]),
        ]:
            with self.subTest(name):
                self.assertEqual(self.list_done(found), (bool(expected), expected))


if __name__ == "__main__":
    unittest.main()
