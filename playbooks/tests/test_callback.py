import importlib.util
import json
import os
import sys
import tempfile
import types
import unittest
from unittest import mock

PLAYBOOKS = os.path.join(os.path.dirname(__file__), "..")
sys.path.insert(0, PLAYBOOKS)

from cluster_runner.text import drop_traceback_note

# ansible-core 2.19 and later put this into every failed result if tracebacks are off, which is the default.
NOTE = "(traceback unavailable)"


def load_callback():
    """Loads the plugin with stubs of the parts of Ansible that it imports."""
    base = type("CallbackBase", (), {"__init__": lambda self: setattr(self, "_display", mock.Mock())})
    colors = types.SimpleNamespace(COLOR_ERROR="red", COLOR_OK="green", COLOR_CHANGED="yellow", COLOR_WARN="purple")
    modules = {
        "ansible": types.SimpleNamespace(constants=colors),
        "ansible.plugins": types.SimpleNamespace(),
        "ansible.plugins.callback": types.SimpleNamespace(CallbackBase=base),
    }
    spec = importlib.util.spec_from_file_location("callback", PLAYBOOKS + "/callback_plugins/cluster.py")
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, modules):
        spec.loader.exec_module(module)
    return module.CallbackModule()


class Failures(unittest.TestCase):
    def test_failures_are_reported_without_the_traceback_note(self):
        for data, message, log in [
            ({"msg": "no primary"}, "no primary", ""),
            ({"msg": "no primary", "log": "FATAL: x"}, "no primary", "FATAL: x"),
            ({"msg": "MODULE FAILURE", "module_stderr": "Traceback …"}, "MODULE FAILURE", "Traceback …"),
            ({}, "no reason given", ""),
        ]:
            for added in ({}, {"exception": NOTE}):
                with self.subTest(data, **added):
                    callback = load_callback()
                    task = mock.Mock(_uuid="1", action="cluster_postgres")
                    task.name = "Start"
                    task.get_path.return_value = "/playbooks/roles/postgres/tasks/start.yml:1"
                    host = mock.Mock()
                    host.get_name.return_value = "node-1"
                    result = mock.Mock(host=host, task=task, result={**data, **added})
                    with mock.patch("time.time", return_value=1763780400.9):
                        callback.v2_runner_on_failed(result)
                    expected = {"node": "node-1", "step": "start", "task": "Start", "time": 1763780400, "message": message, "log": log}
                    self.assertEqual(callback._failures, [expected])
                    shown = [call.args[0] for call in callback._display.display.call_args_list]
                    self.assertNotIn(NOTE, "\n".join(shown))

    def test_work_that_goes_on_is_reported_with_its_step(self):
        callback = load_callback()
        task = mock.Mock(_uuid="1", action="cluster_postgres")
        task.name = "Copy the data"
        task.get_path.return_value = "/playbooks/roles/postgres/tasks/clone.yml:4"
        for node, pending in (("node-2", True), ("node-3", False)):
            host = mock.Mock()
            host.get_name.return_value = node
            callback.v2_runner_on_ok(mock.Mock(host=host, task=task, result={"changed": False, "pending": pending}))
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, CLUSTER_RESULT=folder + "/result"):
            callback.v2_playbook_on_stats(mock.Mock(processed={}))
            with open(folder + "/result", encoding="utf-8") as file:
                self.assertEqual(json.load(file)["pending"], [{"node": "node-2", "step": "clone"}])

    def test_a_real_traceback_is_kept(self):
        self.assertEqual(drop_traceback_note("Traceback (most recent call last):\n  …"), "Traceback (most recent call last):\n  …")

    def test_the_traceback_note_is_removed_anywhere(self):
        for text, expected in [
            ("Connection refused (traceback unavailable)", "Connection refused"),
            ("one (traceback unavailable); two\n(traceback unavailable)", "one; two"),
            (NOTE, ""),
            (None, "None"),
        ]:
            with self.subTest(text):
                self.assertEqual(drop_traceback_note(text), expected)


class Retries(unittest.TestCase):
    def test_a_task_that_tries_again_says_what_it_waits_for(self):
        for data, expected in [({"waiting": "waiting until EC2 has grown it\n::x"}, "waiting until EC2 has grown it ::x"), ({}, None)]:
            with self.subTest(data):
                callback = load_callback()
                task = mock.Mock(_uuid="1", action="cluster_grow")
                task.name = "Grow the file systems"
                host = mock.Mock()
                host.get_name.return_value = "node-1"
                callback.v2_runner_retry(mock.Mock(host=host, task=task, result=data))
                shown = "\n".join(call.args[0] for call in callback._display.display.call_args_list)
                self.assertEqual(expected is not None, expected is not None and expected in shown)
                self.assertEqual(expected is None, shown == "")
                self.assertEqual(callback._failures, [])


if __name__ == "__main__":
    unittest.main()
