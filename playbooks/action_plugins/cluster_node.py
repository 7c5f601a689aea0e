"""The action plugin of every module: runs it on the node and validates the result (cluster_runner.answer)."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, Optional

from ansible.plugins.action import ActionBase
from ansible.release import __version__ as core_version
from ansible.utils.display import Display

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from cluster_runner.answer import InvalidAnswer, validate_answer  # noqa: E402
from cluster_runner.python_support import explain_crash, is_crash, read_python  # noqa: E402
from cluster_runner.text import clean  # noqa: E402


class ActionModule(ActionBase):
    """Runs the module that the task names on its node."""

    TRANSFERS_FILES = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        self._supports_check_mode = True
        result = super().run(tmp, task_vars)
        del tmp
        if result.get("skipped"):
            return result
        result.update(self.ask(task_vars or {}))
        return result

    def ask(self, task_vars: Dict[str, Any]) -> Dict[str, Any]:
        """Returns the module's validated result; a failure if it is invalid, or if the module crashed on a Python that the
        runner's Ansible does not support."""
        answer = self._execute_module(task_vars=task_vars)
        if is_crash(answer):
            path = self._low_level_execute_command("readlink -f /usr/bin/python3", sudoable=False)["stdout"]
            reason = explain_crash(self._task.action, core_version, read_python(path))
            if reason is not None:
                Display().vv(clean(str(answer["module_stderr"]), 4000))
                return {"failed": True, "msg": reason}
        node = self._task.delegate_to or task_vars["inventory_hostname"]
        try:
            return validate_answer(self._task.action, node, answer)
        except InvalidAnswer as error:
            return {"failed": True, "msg": str(error)}
