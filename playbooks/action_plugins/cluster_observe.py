"""Waits until a node is up, then observes it. One task, so that waiting costs a node that is up one round trip only."""

from __future__ import annotations

import time
from typing import Any, Dict

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.loader import action_loader
from ansible.utils.display import Display

# Loaded first, because it adds cluster_runner to sys.path.
Node = action_loader.get("cluster_node", class_only=True)

from cluster_runner.retry_policy import RetryPolicy, choose_pause  # noqa: E402

# cloud-init may still be installing packages, so only a shell runs before it is done. It writes the file at the end of
# a boot; testing for the file is faster than starting cloud-init. Exit code 2 is "done, with warnings".
WAIT_FOR_CLOUD_INIT = (
    "[ -e /run/cloud-init/result.json ] || ! command -v cloud-init >/dev/null"
    " || cloud-init status --wait --long || [ $? -eq 2 ]"
)
CHANGED_KEY = "REMOTE HOST IDENTIFICATION HAS CHANGED"


class ActionModule(Node):
    """Action plugin of the module with the same name."""

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
        """Retries the shell command over SSH until it runs. Raises ssh's error if the node stays unreachable."""
        policy = RetryPolicy(
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
                        "If the machine was replaced on purpose, remove the lines of %s from the known_hosts file"
                        % (
                            CHANGED_KEY,
                            task_vars["inventory_hostname"],
                            task_vars["ansible_host"],
                            task_vars.get("instance_id", "this node"),
                        )
                    )
                if not policy.should_retry(reason, time.monotonic()):
                    raise
                Display().vv("%s: not reachable yet: %s" % (self._task.get_name(), reason))
                time.sleep(choose_pause(reason))
