"""Waits until a node can be looked at, then looks: one task, so that a node that is up costs one round trip more."""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

SECONDS = 300
PAUSE = 2

# Trap 31: no Python of ours before cloud-init is through, and only a shell to find out. The file is its last
# work of a boot, and looking for it is quicker than starting cloud-init. Exit code 2 is "done, with warnings".
WAIT_FOR_CLOUD_INIT = (
    "[ -e /run/cloud-init/result.json ] || ! command -v cloud-init >/dev/null"
    " || cloud-init status --wait --long || [ $? -eq 2 ]"
)
# No patience brings these right.
HOPELESS = ("REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed", "UNPROTECTED PRIVATE KEY FILE")


class ActionModule(ActionBase):
    """Action side of the module of the same name."""

    TRANSFERS_FILES = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result = super().run(tmp, task_vars)
        del tmp
        answer = self._wait()
        if answer["rc"] != 0:
            result.update(
                failed=True,
                msg="cloud-init did not finish on this node; log in and look at /var/log/cloud-init-output.log",
                log=(answer["stdout"] + answer["stderr"])[-2000:],
            )
            return result
        result.update(self._execute_module(task_vars=task_vars))
        return result

    def _wait(self) -> Dict[str, Any]:
        """Runs the shell command over SSH until it gets through. A node that stays away raises what ssh said."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                return self._low_level_execute_command(WAIT_FOR_CLOUD_INIT, sudoable=False)
            except AnsibleConnectionFailure as error:
                reason = str(error)
                if time.monotonic() > deadline or any(words in reason for words in HOPELESS):
                    raise
                Display().vv("%s: not yet: %s" % (self._task.get_name(), reason))
                time.sleep(PAUSE)
