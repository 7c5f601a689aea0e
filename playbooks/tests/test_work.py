import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

MODULES = os.path.join(os.path.dirname(__file__), "..", "module_utils")
sys.path.insert(0, MODULES)

from postgres_cluster import files, spec, work, worker
from postgres_cluster import progress as report
from postgres_cluster.image import Image
from postgres_cluster.sizes import Space

IMAGE = Image("postgres@sha256:aa", 999, 999, 17, "glibc", [])
MIB = 1024**2
GIB = 1024**3
PARAMETERS = {"source": "10.42.0.11", "slot": "node_2", "digest": IMAGE.pinned, "systemIdentifier": "7"}


class Node(unittest.TestCase):
    """A node in a folder: its volume, /run and `docker`, which is a script."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        root, run = self.folder + "/volume", self.folder + "/run"
        for path in (root, root + "/data.partial"):
            os.mkdir(path)
        self.partial = root + "/data.partial"
        self.calls = []
        self.active = "inactive"
        self.run_folder = run
        self.state, self.progress = root + "/work.json", run + "/progress.json"
        self.order = run + "/work/order.json"
        paths = {"STATE": self.state, "PROGRESS": self.progress, "RUN": run, "FOLDER": run + "/work", "ORDER": self.order}
        common = {**paths, "ROOT": root, "PARTIAL": self.partial}

        def write(path, text, mode=0o644, owner=None):
            return files.write_text(path, text, mode, (os.getuid(), os.getgid()))

        def make(path, mode=0o755, owner=None):
            os.makedirs(path, exist_ok=True)

        for module, names in [
            (worker, {**common, "write_text": write}),
            (work, {**common, "write_text": write, "make_directory": make, "run": self.run_program}),
        ]:
            patch = mock.patch.multiple(module, **names)
            patch.start()
            self.addCleanup(patch.stop)
        patch = mock.patch.object(work, "remove_container", lambda name: self.calls.append("docker rm " + name))
        patch.start()
        self.addCleanup(patch.stop)
        environment = mock.patch.dict(os.environ, PATH=self.folder + ":" + os.environ["PATH"])
        environment.start()
        self.addCleanup(environment.stop)
        self.script("docker", "true")
        self.script("sync", "true")

    def script(self, name, text):
        path = "%s/%s" % (self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def run_program(self, argv, **options):
        self.calls.append(argv)
        return subprocess.CompletedProcess(argv, 0, "ActiveState=%s\n" % self.active, "")

    def read(self, path):
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def start(self, *commands):
        attempts = [["sh", "-c", command] for command in commands]
        stages = [{"kind": "copy", "parser": "basebackup", "attempts": attempts}]
        work.start_work("orders", IMAGE, stages, PARAMETERS, "clone", "node-2 cannot copy node-1", True)

    def perform(self, *commands):
        """Starts work and runs the unit's program; returns the state that it leaves."""
        self.start(*commands)
        previous = signal.getsignal(signal.SIGTERM)
        try:
            worker.main()
        finally:
            signal.signal(signal.SIGTERM, previous)
        return self.read(self.state)


class Find(Node):
    """Which work a later run finds."""

    def find(self, active="inactive"):
        self.active = active
        return work.find_work("orders")

    def test_finds_none_on_other_nodes(self):
        self.assertIsNone(self.find())
        self.start("true")
        self.assertIsNone(work.find_work("other"))

    def test_finds_running_work_with_its_progress(self):
        self.start("true")
        worker.write_progress("clone", "copy", 5, 9, self.read(self.state)["started"])
        for active in ("active", "activating", "deactivating"):
            found = self.find(active)
            self.assertEqual((found.state, found.done, found.total, found.parameters), ("running", 5, 9, PARAMETERS))

    def test_work_without_its_unit_was_cut(self):
        # As after a reboot: a transient unit is gone.
        self.start("true")
        self.assertEqual((self.find().state, self.find().problem, self.find().had_server), ("failed", work.CUT, True))

    def test_finds_how_work_ended(self):
        self.perform("true")
        self.assertEqual(self.find().state, "done")
        # The unit may still be ending.
        self.assertEqual(self.find("deactivating").state, "done")
        os.rmdir(self.partial) if not os.listdir(self.partial) else os.rename(self.partial, self.partial + "-2")
        self.assertIsNone(self.find(), "it is in place")

    def test_observes_it(self):
        self.start("true")
        self.active = "active"
        expected = {"kind": "clone", "state": "running", "source": "10.42.0.11", "doneBytes": 0, "totalBytes": None}
        found = work.observe_work("orders")
        self.assertLess(found.pop("seconds"), 60)
        self.assertEqual(found, {**expected, "problem": None})

    def test_another_step_ends_it_with_its_copy(self):
        self.start("true")
        self.calls.clear()
        self.assertTrue(work.end_work("orders"))
        unit = "postgres-cluster-orders-clone.service"
        self.assertEqual(self.calls, [["systemctl", "stop", unit], "docker rm postgres-orders-clone"])
        self.assertFalse(os.path.exists(self.partial) or os.path.exists(self.state))
        self.assertFalse(work.end_work("orders"))


class Earlier(Node):
    """A copy that an earlier version of the action began is understood."""

    def test_its_state_and_progress(self):
        started = int(time.time()) - 9
        state = {"cluster": "orders", "state": "running", "parameters": PARAMETERS, "started": started, "hadServer": True}
        progress = {"step": "clone", "kind": "copy", "done": 5, "total": 9, "started": started, "updated": started, "working": True}
        os.mkdir(self.run_folder)
        for path, document in ((self.state, {**state, "attempts": 1}), (self.progress, progress)):
            with open(path, "w", encoding="utf-8") as file:
                json.dump(document, file)
        self.active = "active"
        found = work.find_work("orders")
        self.assertEqual((found.kind, found.state, found.done, found.total, found.had_server), ("clone", "running", 5, 9, True))
        self.assertTrue(work.is_same(found.parameters, PARAMETERS))
        with mock.patch.multiple(report, PROGRESS=self.progress, write_progress=lambda *_, **__: self.fail("it goes on")):
            report.end_report()


class Restore(Node):
    """A restore: two stages, the second of which works on what the first one wrote."""

    PARAMETERS = {"source": "/production/orders", "bucket": "backups", "time": None, "digest": IMAGE.pinned}

    def perform(self, *commands, **recovery):
        files, *attempts = [["sh", "-c", command] for command in commands]
        stages = [
            {"kind": "restore", "parser": "restore", "total": 4 * MIB, "attempts": [files]},
            {"kind": "recovery", "parser": "recovery", "newest": "000000010000000000000004", "attempts": attempts, **recovery},
        ]
        backup = {"label": "20261127-004601F", "damaged": False}
        work.start_work("orders", IMAGE, stages, self.PARAMETERS, "restore", "node-1 cannot restore it", False, "restore", backup)
        previous = signal.getsignal(signal.SIGTERM)
        try:
            worker.main()
        finally:
            signal.signal(signal.SIGTERM, previous)
        return self.read(self.state)

    def segments(self, last):
        return "".join("echo 'LOG:  restored log file \"%024X\" from archive' >&2; " % (2**64 + one) for one in range(3, last + 1))

    def test_becomes_a_primary(self):
        # Left by an interrupted switchover before the backup was made.
        files = "cd %s && touch base postgres-cluster.former-primary standby.signal" % self.partial
        state = self.perform(files, self.segments(4) + "test -e %s/base" % self.partial)
        self.assertEqual((state["state"], state["kind"], state["done"], state["metTarget"]), ("done", "restore", 16 * MIB, False))
        self.assertEqual(os.listdir(self.partial), ["base"])
        found = work.find_work("orders")
        self.assertEqual((found.kind, found.found["label"], found.found["lastCommit"]), ("restore", "20261127-004601F", None))
        progress = self.read(self.progress)
        self.assertEqual((progress["kind"], progress["working"], progress["detached"]), ("recovery", False, True))
        observed = work.observe_work("orders")
        self.assertEqual((observed["kind"], observed["source"]), ("restore", "/production/orders"))

    def test_shows_what_goes_on(self):
        shown = []
        with mock.patch.object(worker, "report", lambda order, stage, *_, **__: shown.append(stage["kind"])):
            self.perform("sleep 1.2", "sleep 1.2")
        self.assertEqual(list(dict.fromkeys(shown)), ["restore", "recovery"])

    def test_a_failure_of_the_files_is_not_followed_by_recovery(self):
        state = self.perform("echo 'P00  ERROR: [042]: no' >&2; exit 42", "touch %s/recovered" % self.folder)
        self.assertEqual((state["state"], state["log"]), ("failed", "P00  ERROR: [042]: no"))
        self.assertFalse(os.path.exists(self.partial) or os.path.exists(self.folder + "/recovered"))

    def test_recovery_to_a_time_after_the_last_commit_is_repeated_without_it(self):
        before = "echo 'FATAL:  recovery ended before configured recovery target was reached' >&2; exit 1"
        state = self.perform("touch %s/base" % self.partial, self.segments(4) + before, self.segments(4), hasTarget=True)
        self.assertEqual((state["state"], state["attempts"], state["metTarget"]), ("done", 3, False))
        self.assertTrue(os.path.exists(self.partial + "/base"), "the second attempt goes on with the same data")

    def test_recovery_that_ends_at_a_gap_is_a_failure(self):
        state = self.perform("true", self.segments(3))
        self.assertEqual(state["state"], "failed")
        self.assertIn("node-1 cannot restore it: its WAL cannot be read beyond 000000010000000000000003", state["problem"])
        self.assertFalse(os.path.exists(self.partial))

    def test_its_configuration_goes_with_it(self):
        self.perform("true", self.segments(4))
        os.mkdir(work.restore_folder())
        work.forget_work()
        self.assertFalse(os.path.exists(work.restore_folder()))


class Lock(unittest.TestCase):
    def test_a_copy_ends_before_other_steps(self):
        for step, discards_data, running, expected in [
            ("clone", False, True, []),
            ("start", False, True, []),
            ("restore", False, True, []),
            ("initialise", False, True, ["end", "remove"]),
            ("check", False, True, []),
            ("clone", False, False, ["remove"]),
            ("restart", False, True, ["end", "remove"]),
            ("stop", False, False, ["end", "remove"]),
            # Kept directories are often deleted to make room for the copy that runs.
            ("discard", False, True, []),
            ("discard", True, True, ["end", "remove"]),
        ]:
            done = []
            state = {"running": running}

            def end(cluster, state=state, done=done):
                state["running"] = False
                done.append("end")

            with self.subTest(step, data=discards_data), tempfile.TemporaryDirectory() as folder, mock.patch.multiple(
                spec,
                LOCK=folder + "/lock",
                WAITING=folder + "/wanted",
                is_running=lambda cluster: state["running"],
                end_work=end,
                remove_container=lambda name: done.append("remove"),
            ), spec.exclusive("orders", ends_work=not spec.leaves_work(step, discards_data)):
                self.assertEqual(done, expected)


class Unit(Node):
    def test_is_transient_and_outlives_the_call(self):
        self.start("true")
        arguments = self.calls[-1]
        self.assertEqual(arguments[:3], ["systemd-run", "--quiet", "--unit=postgres-cluster-orders-clone.service"])
        for option in ("KillMode=mixed", "CollectMode=inactive-or-failed", "After=docker.service"):
            self.assertIn("--property=" + option, arguments)
        self.assertNotIn("Restart", " ".join(arguments))

    def test_its_code_runs_without_ansible(self):
        self.start("true")
        for name, text in work.list_sources().items():
            with open("%s/work/postgres_cluster/%s" % (os.path.dirname(self.progress), name), encoding="utf-8") as file:
                self.assertEqual(file.read(), text)
        program = [sys.executable, "-B", "-c", "import postgres_cluster.worker, sys; print('ansible' in sys.modules)"]
        found = subprocess.run(program, cwd=os.path.dirname(self.order), stdout=subprocess.PIPE, check=True)
        self.assertEqual(found.stdout, b"False\n")

    def test_records_a_complete_copy(self):
        state = self.perform("for done in 512 2048; do echo \"$done/2048 kB (25%), 0/1 tablespace\" >&2; done")
        self.assertEqual((state["state"], state["done"], state["total"], state["attempts"]), ("done", 2 * MIB, 2 * MIB, 1))
        self.assertTrue(os.path.exists(self.partial + "/standby.signal"))
        progress = self.read(self.progress)
        self.assertEqual((progress["kind"], progress["done"], progress["working"]), ("copy", 2 * MIB, False))

    def test_records_a_failure_and_deletes_the_copy(self):
        command = "printf ' 512/2048 kB (25%%)\\nFATAL:  no\\n' >&2; exit 1"
        state = self.perform(command, "true")
        self.assertEqual((state["state"], state["problem"], state["log"]), ("failed", "node-2 cannot copy node-1", "FATAL:  no"))
        self.assertEqual(state["attempts"], 1, "it had copied something, so its options were not the cause")
        self.assertFalse(os.path.exists(self.partial))

    def test_tries_without_a_compression_that_is_not_supported(self):
        refused = "echo 'error: could not initiate base backup' >&2; exit 1"
        state = self.perform(refused, refused, "true")
        self.assertEqual((state["state"], state["attempts"]), ("done", 3))

    def test_does_not_try_again_if_the_source_is_unfit(self):
        self.assertEqual(self.perform("exit 3", "true")["attempts"], 1)

    def test_a_full_volume_is_reported_with_numbers(self):
        command = "echo ' 512/2048 kB (25%)' >&2; echo 'could not write: No space left on device' >&2; exit 1"
        with mock.patch.object(worker, "measure_space", lambda path: Space(20 * GIB, 19 * GIB, 300 * MIB)):
            state = self.perform(command)
        self.assertEqual(
            state["problem"],
            "node-2 cannot copy node-1: its volume of 20 GiB had 300 MiB left after 0 MiB of about 2 MiB were copied. "
            "Make the volume larger, or delete data on it",
        )

    def test_ends_before_the_volume_is_full(self):
        # `docker rm` ends the copy.
        self.script("docker", "touch %s/removed" % self.folder)
        copy = "until [ -e %s/removed ]; do sleep 0.05; done; exit 137" % self.folder
        self.start(copy)
        full = {"measure_space": lambda path: Space(20 * GIB, 19 * GIB, 100 * MIB), "clear": lambda path: None}
        with mock.patch.multiple(worker, **full):
            state = self.perform("rm -f %s/removed; %s" % (self.folder, copy), "true")
        self.assertEqual((state["state"], state["attempts"]), ("failed", 1))
        self.assertIn("had 100 MiB left", state["problem"])
        self.assertFalse(os.path.exists(self.partial))

    def test_keeps_a_reserve_that_fits_the_volume(self):
        for gib, expected in [(4, 64), (20, 204), (500, 256)]:
            self.assertEqual(worker.choose_reserve(gib * 1024 * MIB) // MIB, expected)

    def test_a_stop_removes_the_container_and_the_copy(self):
        self.script("docker", 'echo "$@" >> %s/removed' % self.folder)
        self.start("touch %s/base; sleep 60" % self.partial)
        pid = os.fork()
        if pid == 0:
            worker.main()
            os._exit(0)
        while not os.path.exists(self.partial + "/base"):
            time.sleep(0.01)
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(os.listdir(self.partial), [])
        with open(self.folder + "/removed", encoding="utf-8") as file:
            self.assertEqual(file.read().splitlines()[-1], "rm --force --volumes postgres-orders-clone")
        self.assertEqual(self.read(self.state)["state"], "running", "a later run finds that it was cut")
        self.assertFalse(self.read(self.progress)["working"])

    def test_a_stop_leaves_a_copy_that_is_complete(self):
        # While it is flushed to disk, which may take minutes.
        self.script("sync", "kill -TERM $PPID; sleep 0.2")
        self.start("touch %s/base" % self.partial)
        pid = os.fork()
        if pid == 0:
            worker.main()
            os._exit(0)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(work.find_work("orders").state, "done")
        self.assertEqual(sorted(os.listdir(self.partial)), ["base", "standby.signal"])


if __name__ == "__main__":
    unittest.main()
