#!/usr/bin/python
"""Takes part in the proof that replication works. Arguments: see main(). Result: `proof`, the node's line."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgres_cluster.proof import prove


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "cluster": {"type": "str", "required": True},
            "primary": {"type": "str", "required": True},
            "replicas": {"type": "list", "elements": "str", "required": True},
            # Public: it is shown in the comment.
            "token": {"type": "str", "required": True, "no_log": False},
            # Whether the primary says what a rehearsal compares with its restore.
            "lists_canary": {"type": "bool", "default": False},
        },
    )
    line = prove(module.params)
    if line["problem"] is None:
        module.exit_json(changed=False, proof=line)
    module.fail_json(msg=line["problem"], proof=line)


if __name__ == "__main__":
    main()
