#!/usr/bin/python
"""Runs one step of a rollout on a node's PostgreSQL. Arguments: see main(); site.yml sets those that every step needs.

Result: `notes` for people; the fact `postgres_running_image`, the image that the node runs now; the step's own facts.
`pending` (and the fact `postgres_pending`): the work goes on without this call; a later call of the step continues it.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgres_cluster.admit import admit
from ansible.module_utils.postgres_cluster.archive import archive
from ansible.module_utils.postgres_cluster.backup import backup
from ansible.module_utils.postgres_cluster.catch_up import tell_wal
from ansible.module_utils.postgres_cluster.check import check
from ansible.module_utils.postgres_cluster.cipher import add_key
from ansible.module_utils.postgres_cluster.clone import clone
from ansible.module_utils.postgres_cluster.command import Pending, Problem
from ansible.module_utils.postgres_cluster.discard import discard
from ansible.module_utils.postgres_cluster.fence import fence
from ansible.module_utils.postgres_cluster.initialise import initialise
from ansible.module_utils.postgres_cluster.logical_slots import wait_for_copies
from ansible.module_utils.postgres_cluster.progress import end_report
from ansible.module_utils.postgres_cluster.promote import promote
from ansible.module_utils.postgres_cluster.recovery import notes
from ansible.module_utils.postgres_cluster.registry import use_login
from ansible.module_utils.postgres_cluster.rehearsal import record
from ansible.module_utils.postgres_cluster.reload import reload
from ansible.module_utils.postgres_cluster.restart import restart
from ansible.module_utils.postgres_cluster.restore import restore
from ansible.module_utils.postgres_cluster.spec import Outcome, Spec, decode, exclusive, leaves_work
from ansible.module_utils.postgres_cluster.start import start
from ansible.module_utils.postgres_cluster.stop import stop
from ansible.module_utils.postgres_cluster.switchover import check_switchover, hand_over, settle, take_back
from ansible.module_utils.postgres_cluster.verify import verify

Options = Dict[str, Any]

# Steps that write no configuration.
WITHOUT_FILES = ("stop", "fence", "discard", "switchover_slots", "switchover_undo", "backup", "verify", "record", "wal")
# Steps whose work goes on without the call: a copy, a restore, recovery, replay, a backup, a verification.
LONG = ("clone", "start", "restore", "backup", "verify")

STEPS: Dict[str, Callable[[Spec, Options], Outcome]] = {
    "check": lambda spec, _: check(spec),
    "initialise": lambda spec, _: initialise(spec),
    "restore": lambda spec, options: restore(
        spec,
        options["restore_source"],
        options["restore_time"],
        add_key(decode(options["restore_conf"]) or "", decode(options["restore_cipher_secret"]), "restore-cipher-key"),
        add_key(decode(options["own_conf"]) or "", decode(options["backup_cipher_secret"])),
    ),
    "admit": lambda spec, options: admit(spec, options["slots"], options["retired_slots"]),
    "clone": lambda spec, _: clone(spec),
    "wal": lambda spec, options: tell_wal(spec, options["slots"]),
    "start": lambda spec, _: start(spec),
    "reload": lambda spec, _: reload(spec),
    "restart": lambda spec, _: restart(spec),
    "archive": lambda spec, options: archive(
        spec,
        add_key(decode(options["files"].get("pgbackrestConf")) or "", decode(options["backup_cipher_secret"])),
        decode(options["files"].get("backupJson")) or "",
    ),
    "backup": lambda spec, options: backup(spec, options["backup_type"]),
    "verify": lambda spec, options: verify(spec, options["canary"]),
    "record": lambda spec, options: record(spec, options["rehearsal"]),
    "stop": lambda spec, _: stop(spec),
    "fence": lambda spec, _: fence(spec),
    "discard": lambda spec, options: discard(spec, options["discarded"], options["discard_data"]),
    "promote": lambda spec, options: promote(spec, options["slots"], options["holds_expiry"]),
    "switchover_check": lambda spec, options: check_switchover(
        spec, options["slots"], options["other_address"], options["may_lose_slots"], options["holds_expiry"]
    ),
    "switchover_slots": lambda spec, options: wait_for_copies(spec, options["slots"], options["may_lose_slots"]),
    "switchover": lambda spec, options: hand_over(
        spec, options["slots"], options["other_address"], options["meeting"]
    ),
    "switchover_undo": lambda spec, _: take_back(spec),
    "switchover_settle": lambda spec, _: settle(spec),
}


def do_step(options: Options) -> Outcome:
    """Runs the step that `options` names. Holds the node's lock meanwhile."""
    files = options["files"] or {}
    source = options["primary_image"]
    spec = Spec(
        cluster=options["cluster"],
        node=options["name"],
        image=options["image"],
        known=options["known_images"],
        superuser_password=decode(options["superuser_secret"]),
        replication_password=decode(options["replication_secret"]),
        conf=decode(files.get("postgresqlConf")) or "",
        hba=decode(files.get("pgHba")) or "",
        primary=options["primary"],
        primary_address=options["primary_address"],
        source=source if source and source.get("digest") else None,
        collation_change=options["collation_change"],
        collation_way_out=decode(options["collation_way_out"]) or "",
        copied=options["source"],
        copied_address=options["source_address"],
        max_rate=options["max_rate"],
        needed_bytes=options["needed_bytes"],
        step=options["step"],
        wal=options["wal"],
        deadline=time.monotonic() + options["call_seconds"] if options["step"] in LONG else None,
    )
    use_login(
        options["image"],
        decode(options["registry_username"]),
        decode(options["registry_secret"]),
        options["registry_instance_profile"],
    )
    with exclusive(spec.cluster, ends_work=not leaves_work(options["step"], options["discard_data"])):
        try:
            return STEPS[options["step"]](spec, options)
        finally:
            end_report()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": sorted(STEPS)},
            "name": {"type": "str", "required": True},
            "cluster": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "known_images": {"type": "list", "elements": "dict", "default": []},
            # Whether the new image may sort text in another order; a sentence on how to allow that, base64.
            "collation_change": {"type": "bool", "default": False},
            "collation_way_out": {"type": "str", "default": ""},
            # {"postgresqlConf", "pgHba"}, base64; of `archive` {"pgbackrestConf", "backupJson"}, empty to end it. The key of a
            # repository is added here: other arguments may be shown.
            "files": {"type": "dict"},
            "slots": {"type": "list", "elements": "str", "default": []},
            "retired_slots": {"type": "list", "elements": "str", "default": []},
            # The primary after the step.
            "primary": {"type": "str"},
            "primary_address": {"type": "str"},
            # The image that it runs: {"image", "digest"}.
            "primary_image": {"type": "dict"},
            # Clone, and a start that has to clone: the node to copy and its address, by default the primary; the most that it
            # sends, in kB per second; the size of its data in bytes, if known.
            "source": {"type": "str"},
            "source_address": {"type": "str"},
            "max_rate": {"type": "int"},
            "needed_bytes": {"type": "int"},
            # A start that may take WAL from the archive: the fact of step `wal` on the primary.
            "wal": {"type": "dict"},
            # Restore only: the backups ({"bucket", "prefix", "cluster"}), the time in RFC 3339 (by default the newest moment), a
            # pgbackrest.conf that reads them, and the cluster's own, empty if it has no backups; both base64.
            "restore_source": {"type": "dict"},
            "restore_time": {"type": "str"},
            "restore_conf": {"type": "str"},
            "own_conf": {"type": "str"},
            # How long a call may wait for work that goes on without it.
            "call_seconds": {"type": "float", "default": 15},
            # Switchover only: the other node's address, the nonce and port from the new primary's check, and whether
            # logical slots may be lost.
            "other_address": {"type": "str"},
            "meeting": {"type": "dict", "default": {}},
            "may_lose_slots": {"type": "bool", "default": False},
            # Promotions: backups delete none that expired, until a deploy has written the new primary's settings.
            "holds_expiry": {"type": "bool", "default": False},
            # Discard only: names of kept directories, and whether the node's data goes as well.
            "discarded": {"type": "list", "elements": "str", "default": []},
            "discard_data": {"type": "bool", "default": False},
            "backup_type": {"type": "str", "choices": ["full", "incremental"]},
            # Verify only: {"token", "written", "roles", "databases", "names"}.
            "canary": {"type": "dict"},
            # Record only: {"ended", "restoredTo", "seconds", "bytes", "commitAge"}.
            "rehearsal": {"type": "dict"},
            "superuser_secret": {"type": "str", "no_log": True},
            "replication_secret": {"type": "str", "no_log": True},
            # Archive and restore only: keys of repositories.
            "backup_cipher_secret": {"type": "str", "no_log": True},
            "restore_cipher_secret": {"type": "str", "no_log": True},
            "registry_username": {"type": "str"},
            "registry_secret": {"type": "str", "no_log": True},
            # Whether the nodes have one to log in with where there is no secret.
            "registry_instance_profile": {"type": "bool", "default": False},
        },
        required_if=[
            *[("step", step, ["files"]) for step in sorted(STEPS) if step not in WITHOUT_FILES],
            ("step", "clone", ["primary", "primary_address", "primary_image"]),
            ("step", "restore", ["restore_source", "restore_conf"]),
            ("step", "discard", ["primary", "primary_address"]),
            ("step", "backup", ["primary", "backup_type"]),
            ("step", "verify", ["canary"]),
            ("step", "record", ["rehearsal"]),
            ("step", "switchover_check", ["primary", "other_address"]),
            ("step", "switchover", ["primary", "other_address", "meeting"]),
        ],
    )
    try:
        outcome = do_step(module.params)
    except Problem as problem:
        module.fail_json(msg=problem.message, log=problem.log)
    except Pending:
        module.exit_json(changed=False, notes=notes, pending=True, ansible_facts={"postgres_pending": True})
    # Facts, because a registered result is overwritten by the next step that this node skips.
    facts = {"postgres_" + name: value for name, value in outcome.facts.items()}
    if outcome.digest is not None:
        facts["postgres_running_image"] = {"image": outcome.image, "digest": outcome.digest}
    module.exit_json(changed=outcome.changed, notes=outcome.notes + notes, ansible_facts=facts, **outcome.facts)


if __name__ == "__main__":
    main()
