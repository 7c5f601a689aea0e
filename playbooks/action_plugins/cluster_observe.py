"""Waits until a node can be looked at, then looks: one task, so that a node that is up costs one round trip more."""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

PAUSE = 2

# Trap 31: no Python of ours before cloud-init is through, and only a shell to find out. The file is its last
# work of a boot, and looking for it is quicker than starting cloud-init. Exit code 2 is "done, with warnings".
WAIT_FOR_CLOUD_INIT = (
    "[ -e /run/cloud-init/result.json ] || ! command -v cloud-init >/dev/null"
    " || cloud-init status --wait --long || [ $? -eq 2 ]"
)
# No patience brings these right.
HOPELESS = ("Host key verification failed", "UNPROTECTED PRIVATE KEY FILE")
CHANGED_KEY = "REMOTE HOST IDENTIFICATION HAS CHANGED"


class ActionModule(ActionBase):
    """Action side of the module of the same name."""

    TRANSFERS_FILES = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result = super().run(tmp, task_vars)
        del tmp
        answer = self._wait(task_vars or {})
        if answer["rc"] != 0:
            result.update(
                failed=True,
                msg="cloud-init did not finish on this node; log in and look at /var/log/cloud-init-output.log",
                log=(answer["stdout"] + answer["stderr"])[-2000:],
            )
            return result
        result.update(self._execute_module(task_vars=task_vars))
        return result

    def _wait(self, task_vars: Dict[str, Any]) -> Dict[str, Any]:
        """Runs the shell command over SSH until it gets through. A node that stays away raises what ssh said."""
        deadline = time.monotonic() + int(self._task.args.get("wait_seconds", 300))
        while True:
            try:
                return self._low_level_execute_command(WAIT_FOR_CLOUD_INIT, sudoable=False)
            except AnsibleConnectionFailure as error:
                reason = str(error)
                if CHANGED_KEY in reason:
                    raise AnsibleConnectionFailure(
                        "%s: %s at %s shows another host key than at first contact, so nothing was sent to it. "
                        "If the machine was made anew on purpose, remove the lines of %s from the known_hosts file"
                        % (
                            CHANGED_KEY,
                            task_vars["inventory_hostname"],
                            task_vars["ansible_host"],
                            task_vars.get("instance_id", "this node"),
                        )
                    )
                if time.monotonic() > deadline or any(words in reason for words in HOPELESS):
                    raise
                Display().vv("%s: not yet: %s" % (self._task.get_name(), reason))
                time.sleep(PAUSE)
