#!/usr/bin/python
"""Observes a node, read-only. Arguments: see main(). Result: `observation`, a NodeObservation."""

from __future__ import annotations

import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgres_cluster.command import Problem
from ansible.module_utils.postgres_cluster.observe import observe_node
from ansible.module_utils.postgres_cluster.registry import use_login
from ansible.module_utils.postgres_cluster.spec import decode


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "cluster": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "volume_id": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "authorized_key": {"type": "str", "required": True, "no_log": False},
            "retired_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "settings": {"type": "list", "elements": "str", "default": []},
            # [{kind, name}] as JSON in base64.
            "image_needs": {"type": "str", "default": ""},
            # For the action plugin, which waits for the node.
            "wait_seconds": {"type": "int", "default": 300},
            "fresh_nodes": {"type": "list", "elements": "str", "default": []},
            "superuser_secret": {"type": "str", "no_log": True},
            "replication_secret": {"type": "str", "no_log": True},
            "backup_cipher_secret": {"type": "str", "no_log": True},
            "registry_username": {"type": "str"},
            "registry_secret": {"type": "str", "no_log": True},
            # Whether the nodes have one to log in with where there is no secret.
            "registry_instance_profile": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = dict(
        module.params,
        image_needs=json.loads(decode(module.params["image_needs"]) or "[]"),
        superuser=decode(module.params["superuser_secret"]),
        replication=decode(module.params["replication_secret"]),
        backup_key=decode(module.params["backup_cipher_secret"]),
    )
    use_login(
        options["image"],
        decode(options["registry_username"]),
        decode(options["registry_secret"]),
        options["registry_instance_profile"],
    )
    try:
        module.exit_json(changed=False, observation=observe_node(options))
    except Problem as problem:
        module.fail_json(msg=problem.message, log=problem.log)


if __name__ == "__main__":
    main()
