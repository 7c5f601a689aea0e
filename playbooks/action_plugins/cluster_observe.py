"""Waits until a node can be looked at, then looks: one task, so that a node that is up costs one round trip more."""

from __future__ import annotations

import time
from typing import Any, Dict

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.loader import action_loader
from ansible.utils.display import Display

# First: it makes cluster_runner known.
Node = action_loader.get("cluster_node", class_only=True)

from cluster_runner.patience import Patience  # noqa: E402

PAUSE = 2

# Trap 31: no Python of ours before cloud-init is through, and only a shell to find out. The file is its last
# work of a boot, and looking for it is quicker than starting cloud-init. Exit code 2 is "done, with warnings".
WAIT_FOR_CLOUD_INIT = (
    "[ -e /run/cloud-init/result.json ] || ! command -v cloud-init >/dev/null"
    " || cloud-init status --wait --long || [ $? -eq 2 ]"
)
CHANGED_KEY = "REMOTE HOST IDENTIFICATION HAS CHANGED"


class ActionModule(Node):
    """Action side of the module of the same name."""

    def ask(self, task_vars: Dict[str, Any]) -> Dict[str, Any]:
        answer = self._wait(task_vars)
        if answer["rc"] != 0:
            return {
                "failed": True,
                "msg": "cloud-init did not finish on this node; log in and look at /var/log/cloud-init-output.log",
                "log": (answer["stdout"] + answer["stderr"])[-2000:],
            }
        return super().ask(task_vars)

    def _wait(self, task_vars: Dict[str, Any]) -> Dict[str, Any]:
        """Runs the shell command over SSH until it gets through. A node that stays away raises what ssh said."""
        patience = Patience(
            int(self._task.args.get("wait_seconds", 300)),
            fresh=task_vars["inventory_hostname"] in self._task.args.get("fresh_nodes", []),
            now=time.monotonic(),
        )
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
                if not patience.is_worth(reason, time.monotonic()):
                    raise
                Display().vv("%s: not yet: %s" % (self._task.get_name(), reason))
                time.sleep(PAUSE)
