#!/usr/bin/python
"""Does one step of a rollout on a node's PostgreSQL. Arguments: see main().

Result: `notes`, what people should know; the fact `postgres_running_image`, what the node runs now.
"""

from __future__ import annotations

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgres_cluster.admit import admit
from ansible.module_utils.postgres_cluster.clone import clone
from ansible.module_utils.postgres_cluster.command import Problem
from ansible.module_utils.postgres_cluster.initialise import initialise
from ansible.module_utils.postgres_cluster.reload import reload
from ansible.module_utils.postgres_cluster.restart import restart, start
from ansible.module_utils.postgres_cluster.spec import Outcome, Spec, decode, exclusive


def do_step(options: Dict[str, Any]) -> Outcome:
    """Does the step that `options` names, alone on this node."""
    files = options["files"]
    spec = Spec(
        cluster=options["cluster"],
        node=options["name"],
        image=options["image"],
        known=options["known_images"],
        superuser_password=decode(options["superuser_secret"]),
        replication_password=decode(options["replication_secret"]),
        conf=decode(files["postgresqlConf"]) or "",
        hba=decode(files["pgHba"]) or "",
    )
    with exclusive(spec.cluster):
        step = options["step"]
        if step == "admit":
            return admit(spec, options["slots"], options["retired_slots"])
        if step == "clone":
            return clone(spec, options["primary"], options["primary_address"])
        return {"initialise": initialise, "start": start, "reload": reload, "restart": restart}[step](spec)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "step": {
                "type": "str",
                "required": True,
                "choices": ["initialise", "admit", "clone", "start", "reload", "restart"],
            },
            "name": {"type": "str", "required": True},
            "cluster": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "known_images": {"type": "list", "elements": "dict", "default": []},
            "files": {"type": "dict", "required": True},
            "slots": {"type": "list", "elements": "str", "default": []},
            "retired_slots": {"type": "list", "elements": "str", "default": []},
            "primary": {"type": "str"},
            "primary_address": {"type": "str"},
            "superuser_secret": {"type": "str", "no_log": True},
            "replication_secret": {"type": "str", "no_log": True},
        },
        required_if=[("step", "clone", ["primary", "primary_address", "known_images"])],
    )
    try:
        outcome = do_step(module.params)
    except Problem as problem:
        module.fail_json(msg=problem.message, log=problem.log)
    module.exit_json(
        changed=outcome.changed,
        notes=outcome.notes,
        # A fact, as a registered result would not outlive the next step that this node skips.
        ansible_facts={"postgres_running_image": {"image": outcome.image, "digest": outcome.digest}},
    )


if __name__ == "__main__":
    main()
