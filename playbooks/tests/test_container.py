import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster.command import Problem
from postgres_cluster.container import (
    LABEL_IMAGE,
    LABEL_OPTIONS,
    choose_shm_bytes,
    is_current,
    list_container_arguments,
    read_image_label,
)
from postgres_cluster.image import Image, find_libc, find_user, pin

GIB = 1024**3
MIB = 1024**2
IMAGE = Image("postgres@sha256:aa", 999, 999, 17, "glibc", ["/var/lib/postgresql/data"])


def list_arguments(image=IMAGE, memory=4 * GIB, limits=None):
    return list_container_arguments("orders", image, memory, limits or {})


def describe(arguments):
    """Returns Docker's description of a container with these arguments."""
    labels = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--label"]
    return {"Config": {"Labels": dict(label.split("=", 1) for label in labels)}}


class Arguments(unittest.TestCase):
    def test_mounts_fail_if_the_source_is_missing(self):
        # --volume would create an empty directory.
        arguments = list_arguments()
        self.assertNotIn("--volume", arguments)
        self.assertIn(
            "type=bind,source=/var/lib/postgresql-cluster/data,target=/var/lib/postgresql-cluster/data", arguments
        )

    def test_backups_can_begin_without_a_restart(self):
        arguments = list_arguments()
        self.assertIn("type=bind,source=/opt/pgbackrest,target=/opt/pgbackrest,readonly", arguments)
        self.assertIn(
            "type=bind,source=/var/lib/postgresql-cluster/pgbackrest-spool,target=/var/spool/pgbackrest", arguments
        )

    def test_all_versions_have_the_same_data_path(self):
        # The image of PostgreSQL 18 moved PGDATA and the volume.
        eighteen = IMAGE._replace(major=18, volumes=["/var/lib/postgresql"])
        for image in (IMAGE, eighteen):
            arguments = list_arguments(image)
            self.assertIn("PGDATA=/var/lib/postgresql-cluster/data", arguments)
            self.assertIn("type=tmpfs,destination=%s,tmpfs-size=1048576" % image.volumes[0], arguments)

    def test_the_server_runs_as_the_user_of_the_image(self):
        arguments = list_arguments(IMAGE._replace(uid=70, gid=70, libc="musl"))
        self.assertEqual(arguments[arguments.index("--user") + 1], "70:70")

    def test_the_postmaster_does_not_inherit_orphans(self):
        # Process 1 inherits the orphans of a health check, and the postmaster would treat them as crashed backends.
        arguments = list_arguments()
        self.assertIn("--init", arguments)
        self.assertIn("--no-healthcheck", arguments)
        self.assertEqual([word for word in arguments if word.startswith("--health")], [])

    def test_options_that_the_host_does_not_allow_are_left_out(self):
        self.assertIn("--oom-score-adj", list_arguments())
        self.assertNotIn("--oom-score-adj", list_arguments(limits={"oom_score_adj": False}))


class Current(unittest.TestCase):
    def test_a_container_with_other_arguments_is_not_current(self):
        found = describe(list_arguments())
        for name, arguments, expected in [
            ("same", list_arguments(), True),
            ("a few pages less memory", list_arguments(memory=4 * GIB - 5 * MIB), False),
            ("less memory of the same size", list_arguments(memory=4 * GIB + 5 * MIB), True),
            ("other image", list_arguments(IMAGE._replace(pinned="postgres@sha256:bb")), False),
            ("other limits", list_arguments(limits={"oom_score_adj": False}), False),
        ]:
            with self.subTest(name):
                self.assertEqual(is_current(found, arguments), expected)

    def test_a_container_without_labels_is_not_current(self):
        found = {"Config": {"Labels": None}}
        self.assertFalse(is_current(found, list_arguments()))
        self.assertIsNone(read_image_label(found))

    def test_the_label_contains_the_image(self):
        self.assertEqual(read_image_label(describe(list_arguments())), IMAGE)
        self.assertEqual(
            sorted(describe(list_arguments())["Config"]["Labels"]), [LABEL_IMAGE, LABEL_OPTIONS]
        )


class SharedMemory(unittest.TestCase):
    def test_is_the_largest_power_of_two_up_to_half_of_the_memory(self):
        for memory, expected in [
            (512 * MIB, 256 * MIB),
            (int(1.9 * GIB), 512 * MIB),
            (int(3.8 * GIB), GIB),
            (int(15.3 * GIB), 4 * GIB),
            (int(15.4 * GIB), 4 * GIB),
        ]:
            with self.subTest(memory=memory):
                self.assertEqual(choose_shm_bytes(memory), expected)


class ImageFacts(unittest.TestCase):
    def test_a_reference_is_pinned_to_its_digest(self):
        digests = ["mirror.example/postgres@sha256:cc", "postgres@sha256:aa"]
        for reference, listed, expected in [
            ("postgres:17", digests, "postgres@sha256:aa"),
            ("postgres", digests, "postgres@sha256:aa"),
            ("postgres:17", [], "sha256:id"),
            ("postgres@sha256:dd", digests, "postgres@sha256:dd"),
            ("postgres:17@sha256:dd", digests, "postgres@sha256:dd"),
            ("registry.example:5000/db/postgres:17@sha256:dd", [], "registry.example:5000/db/postgres@sha256:dd"),
            ("reg.example:5000/a/pg:17", ["reg.example:5000/a/pg@sha256:ee"], "reg.example:5000/a/pg@sha256:ee"),
        ]:
            with self.subTest(reference):
                self.assertEqual(pin(reference, "sha256:id", listed), expected)

    def test_the_user_is_read_from_passwd(self):
        passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:70:71::/var/lib/postgresql:/bin/sh\n"
        self.assertEqual(find_user(passwd, "postgres:17"), (70, 71))
        with self.assertRaises(Problem):
            find_user("root:x:0:0:root:/root:/bin/sh\n", "busybox")

    def test_the_libc_is_read_from_os_release(self):
        for text, expected in [
            ('NAME="Alpine Linux"\nID=alpine\n', "musl"),
            ("ID=debian\n", "glibc"),
            ("ID_LIKE=alpine\nID=other\n", "glibc"),
        ]:
            with self.subTest(text):
                self.assertEqual(find_libc(text), expected)


if __name__ == "__main__":
    unittest.main()
