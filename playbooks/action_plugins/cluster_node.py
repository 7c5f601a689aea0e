"""The action plugin of every module: runs it on the node and validates the result (cluster_runner.answer)."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, Optional

from ansible.plugins.action import ActionBase

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from cluster_runner.answer import InvalidAnswer, validate_answer  # noqa: E402


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
        """Returns the module's validated result, or a failure if it is invalid."""
        answer = self._execute_module(task_vars=task_vars)
        node = self._task.delegate_to or task_vars["inventory_hostname"]
        try:
            return validate_answer(self._task.action, node, answer)
        except InvalidAnswer as error:
            return {"failed": True, "msg": str(error)}
