#!/usr/bin/python
"""Makes a node ready for PostgreSQL: keys, Docker, data volume, image, programs for backups. Arguments: see main()."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgres_cluster.backup_tools import ensure_tools, remove_tools
from ansible.module_utils.postgres_cluster.command import Problem
from ansible.module_utils.postgres_cluster.image import ensure_image
from ansible.module_utils.postgres_cluster.keys import ensure_keys
from ansible.module_utils.postgres_cluster.packages import ensure_docker
from ansible.module_utils.postgres_cluster.record import read_record
from ansible.module_utils.postgres_cluster.registry import use_login
from ansible.module_utils.postgres_cluster.signals import raise_fence
from ansible.module_utils.postgres_cluster.spec import decode
from ansible.module_utils.postgres_cluster.volume import ensure_volume

# What happens to the programs for backups; each returns whether anything changed.
TOOLS = {"install": ensure_tools, "remove": remove_tools}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "volume_id": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "authorized_key": {"type": "str", "required": True, "no_log": False},
            "retired_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "fenced": {"type": "bool", "default": False},
            "tools": {"type": "str", "choices": ["install", "remove", "keep"], "default": "keep"},
            "registry_username": {"type": "str"},
            "registry_secret": {"type": "str", "no_log": True},
            # Whether the nodes have one to log in with where there is no secret.
            "registry_instance_profile": {"type": "bool", "default": False},
        },
    )
    options = module.params
    use_login(
        options["image"],
        decode(options["registry_username"]),
        decode(options["registry_secret"]),
        options["registry_instance_profile"],
    )
    done = []
    try:
        if ensure_keys(options["user"], options["authorized_key"], options["retired_keys"]):
            done.append("authorised keys")
        # First the volume, because Docker starts after its mount.
        if ensure_volume(options["volume_id"], options["cluster"]):
            done.append("data volume")
        # Then the fence, because Docker restarts the containers that ran before it stopped.
        if options["fenced"] and raise_fence():
            done.append("fence")
        if ensure_docker():
            done.append("Docker")
        record = read_record()
        _, pulled = ensure_image(options["image"] if record is None else record["digest"])
        if pulled:
            done.append("image")
        if options["tools"] != "keep" and TOOLS[options["tools"]](options["cluster"]):
            done.append("programs for backups")
    except Problem as problem:
        module.fail_json(msg=problem.message, log=problem.log)
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
