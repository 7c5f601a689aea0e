#!/usr/bin/python
"""Reads the image that a node's data belongs to. Result: `record`, its {"image", "digest"}; {} without a record."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgres_cluster.record import read_record


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    record = read_record() or {}
    module.exit_json(changed=False, record={key: record[key] for key in ("image", "digest") if key in record})


if __name__ == "__main__":
    main()
