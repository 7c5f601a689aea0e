"""The commands of a restore: `pgbackrest restore`, then a temporary server that recovers and is promoted, both in worker
containers that read their configuration from a folder of /run."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from .backup_layout import BACKREST_CONF, TOOLS
from .container import MIB, list_worker_arguments
from .files import make_directory, write_text
from .image import Image
from .layout import AUTO_CONF, CONTAINER_DATA, CONTAINER_ETC, PARTIAL, SOCKETS
from .psql import DATABASES, render_options
from .restore_source import Choice, Source, choose_buffers, render_target
from .sensitive import LABELS
from .spec import Spec, read_memory_bytes
from .stages import UNFIT
from .work import restore_folder

RECOVERY_CONF = "recovery.conf"
RECOVERY_HBA = "recovery_hba.conf"
RESTORE_WAL = "restore-wal"
# In the restored directory: what ALTER SYSTEM had set in the source.
SAVED_AUTO_CONF = "postgres-cluster.auto.conf"
SPOOL = "/tmp/pgbackrest-spool"
# How often a segment is asked for, and the pause in between. pgBackRest itself tries for a minute each time.
WAL_TRIES = 12
WAL_PAUSE_SECONDS = 10

# restore_command. 1: the archive does not have the file, which ends recovery. Any other failure must not: PostgreSQL
# would promote without the WAL that follows. It gives up only after a code above 125 (RestoreArchivedFile in xlogarchive.c).
RESTORE_WAL_TEXT = """tries=0
while :; do
  %s/pgbackrest --config=%s/%s --stanza=$1 --spool-path=%s --log-level-console=off --log-level-stderr=error \\
    archive-get "$2" "$3"
  code=$?
  [ $code -gt 1 ] || exit $code
  tries=$((tries + 1))
  [ $tries -lt %d ] || exit 255
  sleep %d
done
""" % (TOOLS, CONTAINER_ETC, BACKREST_CONF, SPOOL, WAL_TRIES, WAL_PAUSE_SECONDS)

# The settings that recovery demands are in the control file. WAL may raise them: replay is paused then, and the control file
# has the new values (CheckRequiredParameterValues in xlogrecovery.c), with which the server starts again. Each command's
# end is read from a file, because a shell's `kill -0` finds a process that has ended.
RECOVERY_SCRIPT = """
data=$1 etc=$2 sockets=$3 saved=$4 target=$5
if [ ! -f "$data/$saved" ]; then
  [ ! -f "$data/AUTO" ] || mv "$data/AUTO" "$data/$saved" || exit UNFIT
  : >"$data/AUTO"
fi
: >"$data/recovery.signal" || exit UNFIT
ask() {
  for database in DATABASES; do
    psql -X -q -A -t -F ' ' -h "$sockets" -U postgres -d "$database" -c "$1" 2>/dev/null && return
  done
  return 1
}
stop() {
  pg_ctl --pgdata="$data" --mode=fast --timeout=86400 stop >/dev/null
  wait
}
set -- -D "$data" -c "config_file=$etc/CONF"
[ -z "$target" ] || set -- "$@" -c "recovery_target_time=$target"
before=
while :; do
  settings=
  pg_controldata "$data" >/tmp/control || exit UNFIT
  while IFS=: read -r label value; do
    case $label in
      NAMES
      *) continue ;;
    esac
    settings="$settings -c $name=${value##* }"
  done </tmp/control
  if [ "$settings" = "$before" ]; then
    echo "replay is paused with$settings" >&2
    exit UNFIT
  fi
  before=$settings
  rm -f /tmp/ended
  { postgres "$@" $settings; echo $? >/tmp/ended; } &
  while [ ! -f /tmp/ended ]; do
    sleep 1
    answer=$(ask "QUESTION") || continue
    case $answer in
      f*)
        names=$(ask "DISABLE") || exit 1
        echo "disabled subscriptions $names" >&2
        stop
        [ "$(cat /tmp/ended)" = 0 ]
        exit
        ;;
      "t t"*) stop; continue 2 ;;
      *) time=${answer##* }; [ "$time" = 0 ] || echo "replayed up to $time" >&2 ;;
    esac
  done
  exit 1
done
"""
# One row: whether it recovers, whether replay is paused, the time of the last replayed commit (0: none).
QUESTION = """
SELECT pg_is_in_recovery(),
  CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() = 'paused' ELSE false END,
  coalesce(floor(extract(epoch FROM pg_last_xact_replay_timestamp()))::bigint, 0)
"""
# A subscription of the source would take the changes that its publisher keeps for the source, and miss those that the source
# received after the time of the restore. One statement for all databases: the catalog is shared.
DISABLE = """
WITH disabled AS (UPDATE pg_subscription SET subenabled = false WHERE subenabled RETURNING subname)
SELECT coalesce(json_agg(subname), '[]') FROM disabled
"""


def write_folder(spec: Spec, image: Image, conf: str, source: Source) -> None:
    """Writes what the containers of a restore read. Only the image's user can."""
    folder = restore_folder()
    make_directory(os.path.dirname(folder))
    make_directory(folder, 0o700, image.owner)
    texts = {
        BACKREST_CONF: conf,
        RECOVERY_CONF: render_recovery_conf(source),
        # Nobody but this restore: passwords and rules of the source do not apply.
        RECOVERY_HBA: "local all postgres peer\n",
        RESTORE_WAL: RESTORE_WAL_TEXT,
    }
    for name, text in texts.items():
        write_text("%s/%s" % (folder, name), text, 0o600, image.owner)


def render_recovery_conf(source: Source) -> str:
    """Returns the configuration of the temporary server: nothing of the source's own, nothing that leaves the container. WAL
    never goes into the source's archive, and no library is loaded that the image may lack."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": SOCKETS,
        "hba_file": "%s/%s" % (CONTAINER_ETC, RECOVERY_HBA),
        "restore_command": 'sh %s/%s %s "%%f" "%%p"' % (CONTAINER_ETC, RESTORE_WAL, source.cluster),
        "recovery_target_action": "promote",
        "recovery_target_timeline": "latest",
        "archive_mode": "off",
        # Answers how far it is.
        "hot_standby": "on",
        "shared_buffers": choose_buffers(read_memory_bytes()),
        "huge_pages": "off",
        "shared_preload_libraries": "",
        "synchronous_standby_names": "",
        # See DISABLE.
        "max_logical_replication_workers": "0",
        "autovacuum": "off",
        # The parser reads English messages without a prefix, with times in UTC (stages.py).
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_line_prefix": "",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_checkpoints": "off",
    }
    return "".join("%s = '%s'\n" % (name, value.replace("'", "''")) for name, value in settings.items())


def list_stages(
    spec: Spec, image: Image, source: Source, choice: Choice, moment: Optional[float]
) -> List[Dict[str, Any]]:
    """Returns the two stages of a restore (stages.py)."""
    recovery = [list_recovery_arguments(spec, image, None)]
    if moment is not None:
        recovery.insert(0, list_recovery_arguments(spec, image, render_target(moment)))
    return [
        {
            "kind": "restore",
            "parser": "restore",
            "total": choice.size,
            "attempts": [list_restore_arguments(spec, image, source, choice)],
        },
        {
            "kind": "recovery",
            "parser": "recovery",
            "newest": choice.newest,
            "ended": choice.ended,
            "later": choice.later,
            "hasTarget": moment is not None,
            "attempts": recovery,
        },
    ]


def list_restore_arguments(spec: Spec, image: Image, source: Source, choice: Choice) -> List[str]:
    """Returns the command that restores the files of a backup."""
    return [
        *_list_common_arguments(spec, image),
        "--entrypoint",
        TOOLS + "/pgbackrest",
        image.pinned,
        "--config=%s/%s" % (CONTAINER_ETC, BACKREST_CONF),
        "--stanza=" + source.cluster,
        "--pg1-path=" + CONTAINER_DATA,
        "--set=" + choice.label,
        # Recovery is configured by the next stage.
        "--type=none",
        "--process-max=%d" % max(1, min(os.cpu_count() or 1, 8)),
        "--log-level-console=off",
        "--log-level-stderr=detail",
        "--no-log-timestamp",
        "restore",
    ]


def list_recovery_arguments(spec: Spec, image: Image, target: Optional[str]) -> List[str]:
    """Returns the command that recovers what was restored, up to `target` or to the end of the archive."""
    names = " ".join("%s) name=%s ;;" % ('"%s"' % label, name) for name, label in LABELS.items())
    script = RECOVERY_SCRIPT.replace("UNFIT", str(UNFIT)).replace("NAMES", names)
    script = script.replace("DATABASES", " ".join(DATABASES)).replace("AUTO", AUTO_CONF)
    script = script.replace("QUESTION", QUESTION).replace("DISABLE", DISABLE)
    script = script.replace("/CONF", "/" + RECOVERY_CONF)
    arguments = [*_list_common_arguments(spec, image), "--init", "--no-healthcheck"]
    arguments += ["--tmpfs", "%s:rw,mode=1777" % SOCKETS, "--env", "PGOPTIONS=" + render_options(image.major)]
    for volume in image.volumes:
        arguments += ["--mount", "type=tmpfs,destination=%s,tmpfs-size=%d" % (volume, MIB)]
    arguments += ["--entrypoint", "sh", image.pinned, "-c", script, "recovery"]
    return [*arguments, CONTAINER_DATA, CONTAINER_ETC, SOCKETS, SAVED_AUTO_CONF, target or ""]


def _list_common_arguments(spec: Spec, image: Image) -> List[str]:
    # The host's network: credentials come from the metadata service, whose answers pass no further hop.
    arguments = [*list_worker_arguments(spec.worker, image, "host"), "--env", "LC_ALL=C"]
    for path, target, mode in (
        (PARTIAL, CONTAINER_DATA, ""),
        (restore_folder(), CONTAINER_ETC, ",readonly"),
        (TOOLS, TOOLS, ",readonly"),
    ):
        arguments += ["--mount", "type=bind,source=%s,target=%s%s" % (path, target, mode)]
    return arguments
