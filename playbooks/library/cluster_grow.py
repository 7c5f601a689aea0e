#!/usr/bin/python
"""Grows the file systems of a node into their devices. Arguments: see main().

Result: `done` for people. While a device is smaller than requested, it fails with `waiting`, a line that says so; the task
tries again. It does not take the node's lock: it changes nothing that another step works on, and a copy continues.
"""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgres_cluster.command import Problem
from ansible.module_utils.postgres_cluster.grow import StillSmall, grow


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "cluster": {"type": "str", "required": True},
            "volume_id": {"type": "str", "required": True},
            # The requested sizes.
            "data_gib": {"type": "int", "required": True},
            "root_gib": {"type": "int", "required": True},
        },
    )
    options = module.params
    try:
        done = grow(
            options["name"], options["cluster"], options["volume_id"], options["data_gib"], options["root_gib"]
        )
    except StillSmall as problem:
        module.fail_json(msg=problem.message, waiting=problem.waiting)
    except Problem as problem:
        module.fail_json(msg=problem.message, log=problem.log)
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
