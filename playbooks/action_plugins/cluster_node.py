"""The runner's side of every module: what a node answers is held to what the module may answer (cluster_runner.answer)."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, Optional

from ansible.plugins.action import ActionBase

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from cluster_runner.answer import Misfit, hold_answer  # noqa: E402


class ActionModule(ActionBase):
    """Runs the module of the task's name on the node."""

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
        """What the node answers, as far as the module may answer it; a failure where it may not."""
        answer = self._execute_module(task_vars=task_vars)
        node = self._task.delegate_to or task_vars["inventory_hostname"]
        try:
            return hold_answer(self._task.action, node, answer)
        except Misfit as misfit:
            return {"failed": True, "msg": str(misfit)}
