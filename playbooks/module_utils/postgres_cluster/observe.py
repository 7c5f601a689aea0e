"""The observation of a node, in the shape of NodeObservation (src/cluster/observation.ts). Changes nothing."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional

from . import logical_slots
from .archiver import ARCHIVER
from .backup_layout import BACKREST_CONF, BACKUP_JSON
from .backup_observation import observe_backup
from .backup_tools import judge_tools, read_debian
from .cipher import is_key_current, remove_key
from .container import MIB, is_current, list_container_arguments, read_image_label
from .control import read_position
from .docker import inspect_container, inspect_image, is_starting_at_boot, read_version, resolve_digest
from .files import read_text
from .image import pin
from .keys import are_keys_current
from .layout import AUTO_CONF, CONF, DATA, ETC, HBA, PASSFILE, container_name
from .lsn import format_lsn
from .needs import find_lacks
from .psql import ask_once, quote
from .record import is_standby, judge_data, read_record
from .rehearsal import observe_rehearsal
from .scram import matches
from .server import find_unread, is_accepting, is_up, render_passfile
from .spec import read_limits, read_memory_bytes
from .timeline import find_received_timeline
from .storage import observe_storage
from .volume import MOUNTS, has_shut_down, observe_volume
from .work import observe_work

# One statement that returns one JSON document, on 14 to 18. Functions that fail on a primary, or on a replica, are in a
# CASE branch that it never evaluates.
QUESTION = """
SELECT json_build_object(
  'inRecovery', recovery,
  'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
  'timeline', CASE WHEN recovery
    -- A replica's control file has a new timeline only after its next restartpoint, the receiver at once. Without a
    -- primary there is no receiver, but the segments it wrote are left: see find_received_timeline in timeline.py.
    THEN greatest(
      (SELECT timeline_id FROM pg_control_checkpoint()),
      (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
      (SELECT received_tli FROM pg_stat_wal_receiver),
      (SELECT max(('x' || left(name, 8))::bit(32)::int) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'))
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
  'version', current_setting('server_version_num')::int,
  'settings', (
    SELECT coalesce(json_object_agg(lower(name), json_build_object(
      'setting', setting, 'unit', unit, 'context', context, 'type', vartype, 'min', min_val, 'max', max_val,
      'words', to_json(coalesce(enumvals, '{}')), 'default', boot_val,
      'fromFile', source = 'configuration file')), '{}')
    FROM pg_settings
    -- primary_conninfo may hold a password.
    WHERE name <> 'primary_conninfo'
      AND (source = 'configuration file' OR lower(name) IN (SELECT json_array_elements_text(%s::json)))),
  'loaded', extract(epoch FROM pg_conf_load_time()),
  'segmentBytes', (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
  -- Without the timeline: the segments on disk are one history.
  'oldestSegment', (SELECT min(substr(name, 9)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'),
  'slots', (
    SELECT coalesce(json_agg(json_build_object(
      'name', slot_name, 'active', active, 'walStatus', wal_status,
      'retainedBytes', greatest(0, coalesce(pg_wal_lsn_diff(
        CASE WHEN recovery THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn), 0))::bigint
      ) ORDER BY slot_name), '[]')
    FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary),
  'logicalSlots', (@LOGICAL@),
  'senders', (
    SELECT coalesce(json_agg(json_build_object(
      'applicationName', application_name, 'state', state, 'syncState', sync_state,
      'replayLsn', replay_lsn) ORDER BY application_name), '[]')
    FROM pg_stat_replication),
  'receiver', (
    SELECT json_build_object('status', status, 'senderHost', sender_host, 'slotName', slot_name)
    FROM pg_stat_wal_receiver),
  'archiver', @ARCHIVER@,
  'archivedAt', (SELECT extract(epoch FROM last_archived_time)::bigint FROM pg_stat_archiver),
  -- Roles and databases with a weaker synchronous_commit. Their names may be in any encoding.
  'weakCommits', (
    SELECT coalesce(json_agg(json_build_object('role', role, 'database', database, 'value', value)), '[]')
    FROM (
      SELECT regexp_replace(encode(textsend(rolname::text), 'escape'), '[^ -~]', '?', 'g') AS role,
        regexp_replace(encode(textsend(datname::text), 'escape'), '[^ -~]', '?', 'g') AS database,
        lower(split_part(entry, '=', 2)) AS value
      FROM pg_db_role_setting LEFT JOIN pg_roles ON pg_roles.oid = setrole
        LEFT JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) AS entry
      WHERE lower(split_part(entry, '=', 1)) = 'synchronous_commit'
        AND lower(split_part(entry, '=', 2)) IN ('off', 'local', 'remote_write', 'false', 'no', '0')
      ORDER BY 1, 2 LIMIT 20) AS weak),
  'replayPaused', CASE WHEN recovery THEN pg_get_wal_replay_pause_state() <> 'not paused' ELSE false END,
  'lsn', CASE WHEN recovery
    THEN coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0') ELSE pg_current_wal_lsn() END,
  -- Without those that sort by code point, which never change. 14 has only the C library's, without a version.
  'collations', (
    SELECT coalesce(json_agg(json_build_object('provider', provider, 'locale', locale, 'version', version)), '[]')
    FROM (
      SELECT DISTINCT CASE provider WHEN 'i' THEN 'icu' ELSE 'libc' END AS provider,
        regexp_replace(left(locale, 128), '[^A-Za-z0-9_.@:+=;-]', '?', 'g') AS locale,
        regexp_replace(left(version, 64), '[^A-Za-z0-9_.+~-]', '?', 'g') AS version
      FROM (
        SELECT coalesce(to_json(d) ->> 'datlocprovider', 'c') AS provider,
          coalesce(to_json(d) ->> 'datlocale', to_json(d) ->> 'daticulocale', datcollate) AS locale,
          to_json(d) ->> 'datcollversion' AS version
        FROM pg_database d WHERE datname <> 'template0') AS found
      WHERE provider = 'i' OR (
        provider = 'c' AND lower(locale) NOT IN ('c', 'posix') AND lower(locale) NOT LIKE 'c.%%')
      LIMIT 100) AS orders),
  'verifiers', (
    SELECT json_object_agg(rolname, rolpassword) FROM pg_authid
    WHERE rolname IN ('postgres', 'replicator')))
FROM (SELECT pg_is_in_recovery() AS recovery) AS node
""".replace("@LOGICAL@", logical_slots.LIST).replace("@ARCHIVER@", ARCHIVER)


def observe_node(options: Dict[str, Any]) -> Dict[str, Any]:
    """Observes the node. `options`: name, cluster, image, volume_id, user, authorized_key, retired_keys, settings (names
    in lower case), image_needs ({kind, name} each), and in clear or None the passwords `superuser` and `replication` and `backup_key`."""
    volume = observe_volume(options["volume_id"], options["cluster"])
    version = read_version()
    found = None if version is None else inspect_container(container_name(options["cluster"]))
    local = None if version is None else inspect_image(options["image"])
    # Nothing can be read from a file system that has shut itself down.
    is_readable = not has_shut_down(read_text(MOUNTS) or "")
    return {
        "name": options["name"],
        "host": {
            "dockerVersion": version,
            "dockerReady": version is not None and is_starting_at_boot(),
            "imageReady": local is not None,
            "imageDigest": _find_digest(options["image"], local) if version is not None and is_readable else None,
            "memoryMib": read_memory_bytes() // MIB,
            "authorizedKeysCurrent": are_keys_current(
                options["user"], options["authorized_key"], options["retired_keys"]
            ),
            "debian": read_debian(),
            "backupTools": judge_tools(options["cluster"]),
            "backupKeyCurrent": is_key_current(read_text("%s/%s" % (ETC, BACKREST_CONF)), options["backup_key"]),
        },
        "volume": {
            "device": volume.device,
            "filesystem": volume.filesystem,
            "ready": volume.ready,
            "readOnly": volume.read_only,
        },
        **(_observe_contents(options, found, version) if is_readable else UNREADABLE),
    }


# What is reported of a volume that cannot be read: nothing. The rollout is refused, because it takes no writes.
UNREADABLE: Dict[str, Any] = {
    "storage": {"data": None, "root": None, "kept": []},
    "work": None,
    "data": "absent",
    "standby": False,
    "record": None,
    "container": None,
    "files": {"postgresqlConf": None, "pgHba": None, "pgbackrestConf": None, "backupJson": None},
    "overrides": {},
    **dict.fromkeys(("control", "upstreamAnswers", "postgres", "backup", "rehearsal")),
}


def _observe_contents(
    options: Dict[str, Any], found: Optional[Dict[str, Any]], version: Optional[str]
) -> Dict[str, Any]:
    """Observes what is on the volume, and what runs with it."""
    postgres = _observe_postgres(options) if is_up(found) else None
    archived = None if postgres is None else postgres.pop("archivedAt")
    return {
        "storage": observe_storage(),
        "work": observe_work(options["cluster"]),
        "data": judge_data(),
        "standby": is_standby(),
        "record": read_record(),
        "container": None if found is None else _observe_container(found, options),
        "files": {
            "postgresqlConf": read_text("%s/%s" % (ETC, CONF)),
            "pgHba": read_text("%s/%s" % (ETC, HBA)),
            "pgbackrestConf": remove_key(read_text("%s/%s" % (ETC, BACKREST_CONF))),
            "backupJson": read_text("%s/%s" % (ETC, BACKUP_JSON)),
        },
        "overrides": parse_auto_conf(read_text("%s/%s" % (DATA, AUTO_CONF)) or ""),
        "control": _observe_control(found, options) if postgres is None and version is not None else None,
        "upstreamAnswers": _ask_upstream(),
        "postgres": postgres,
        "backup": observe_backup(options["cluster"], postgres, archived),
        "rehearsal": observe_rehearsal(),
    }


def _find_digest(reference: str, local: Optional[Dict[str, Any]]) -> Optional[str]:
    """Returns the digest that this node would run for `reference`: its own if it has one, else the recorded one, else that
    of the local image, else that of a pull."""
    if "@" in reference:
        return _take_digest(reference)
    record = read_record()
    if record is not None and record["image"] == reference:
        return _take_digest(record["digest"])
    if local is not None:
        return _take_digest(pin(reference, local["Id"], local.get("RepoDigests") or []))
    return resolve_digest(reference)


def _take_digest(pinned: str) -> Optional[str]:
    """None for an image without a registry's digest: it cannot be pulled by its id."""
    return pinned.rsplit("@", 1)[-1] if "@" in pinned else None


def _ask_upstream() -> Optional[bool]:
    """Whether the primary that this node is configured to follow answers; None without one. A failover uses it: the
    replicas may reach a primary that the runner cannot."""
    found = re.search(r"^primary_conninfo = 'host=(\S+) ", read_text("%s/%s" % (ETC, CONF)) or "", re.MULTILINE)
    return None if found is None else is_accepting(found.group(1))


def _observe_control(found: Optional[Dict[str, Any]], options: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    if judge_data() not in ("complete", "unrecorded"):
        return None
    record = read_record()
    image = None if found is None else read_image_label(found)
    pinned = image.pinned if image is not None else options["image"]
    position = read_position(pinned if record is None else record["digest"])
    # The control file is as old as the last checkpoint or restartpoint.
    return None if position is None else {**position, "timeline": max(position["timeline"], find_received_timeline())}


def _observe_container(found: Dict[str, Any], options: Dict[str, Any]) -> Dict[str, Any]:
    return {"state": found["State"]["Status"], "current": _is_container_current(found, options)}


def _is_container_current(found: Dict[str, Any], options: Dict[str, Any]) -> bool:
    image = read_image_label(found)
    if image is None:
        return False
    record = read_record()
    if record is not None and (record["image"], record["digest"]) != (options["image"], image.pinned):
        return False
    arguments = list_container_arguments(options["cluster"], image, read_memory_bytes(), read_limits())
    return is_current(found, arguments)


def _observe_postgres(options: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    answer = ask_once(container_name(options["cluster"]), QUESTION % quote(json.dumps(options["settings"])))
    if answer is None:
        return None
    answer["filesLoaded"] = not find_unread(float(answer.pop("loaded")))
    answer["oldestLsn"] = locate_segment(answer.pop("oldestSegment"), answer.pop("segmentBytes"))
    history = read_text("%s/pg_wal/%08X.history" % (DATA, answer["timeline"]))
    answer["history"] = parse_history(history or "")
    answer["logicalSlots"] = logical_slots.mark_leftovers(
        answer["logicalSlots"], answer["inRecovery"], answer["version"]
    )
    verifiers = answer.pop("verifiers") or {}
    record = read_record()
    is_wanted = record is not None and record["image"] == options["image"]
    answer["imageLacks"] = find_lacks(container_name(options["cluster"]), options["image_needs"]) if is_wanted else None
    answer["passwordsCurrent"] = _are_passwords_current(answer["inRecovery"], verifiers, options)
    return answer


def parse_auto_conf(text: str) -> Dict[str, str]:
    """Returns {name in lower case: value} of a file that ALTER SYSTEM wrote (write_auto_conf_file in guc.c); the last line
    of a name counts. The value of `primary_conninfo` is replaced by "": it may hold a password."""
    found = re.findall(r"^(\S+) = '((?:[^'\\]|''|\\.)*)'$", text, re.MULTILINE)
    values = {name.lower(): re.sub(r"''|\\(.)", _unescape, value) for name, value in found}
    return {name: "" if name == "primary_conninfo" else value for name, value in values.items()}


def _unescape(match: Any) -> str:
    return match.group(1) or "'"


def locate_segment(name: Optional[str], size: int) -> str:
    """Returns the LSN at which a WAL segment begins, from the last 16 digits of its name: `0000000000000002` with
    segments of 16 MiB → `0/2000000`."""
    return "0/0" if not name else format_lsn((int(name[:8], 16) << 32) + int(name[8:], 16) * size)


def parse_history(text: str) -> List[Dict[str, Any]]:
    """Returns where each earlier timeline ended, from the text of a timeline history file."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [{"timeline": int(fields[0]), "switchLsn": fields[1]} for fields in lines]


def _are_passwords_current(
    in_recovery: bool, verifiers: Dict[str, Optional[str]], options: Dict[str, Any]
) -> Optional[bool]:
    """Whether the given passwords are those in force; None if none was given. They are compared through their verifiers,
    so they are sent nowhere. Replicas have the primary's verifiers, so a replica checks only its passfile."""
    superuser, replication = options["superuser"], options["replication"]
    checks: List[bool] = []
    if replication is not None:
        checks.append(read_text("%s/%s" % (ETC, PASSFILE)) == render_passfile(replication))
        if not in_recovery:
            checks.append(matches(replication, verifiers.get("replicator")))
    if superuser is not None and not in_recovery:
        checks.append(matches(superuser, verifiers.get("postgres")))
    return all(checks) if checks else None
