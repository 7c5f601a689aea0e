"""The commands of a copy: pg_basebackup in a worker container."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .container import list_worker_arguments
from .image import Image
from .layout import CONTAINER_DATA, CONTAINER_ETC, ETC, PARTIAL, PASSFILE, REPLICATION_USER
from .spec import Spec, copier_name
from .stages import UNFIT

# A missing slot must be found before hours of copying, not after. CREATE_REPLICATION_SLOT is the only command about a
# slot that a replication connection accepts in every version, and it creates a missing one. The usual answer is 42710
# (duplicate_object): the primary has created it already. pg_basebackup's own -C fails if the slot exists.
#
# With a slot, pg_basebackup reports how far the copy's WAL is flushed, and the primary treats the copy as a standby
# (PostgreSQL manual, 19.6.2): a directory that cannot start would acknowledge a commit. Our synchronous_standby_names
# never contain the copy's name. If they contain `*`, the copy uses no slot and reports nothing; the slot retains the WAL.
#
# A replica as the source gets a temporary slot of its own (pg_basebackup's default with -X stream), which acknowledges
# nothing to the primary. The copy ends where that replica is, so the WAL from there on must be in the primary's slot: the
# copy begins once the replica has what the primary had when the slot existed.
SCRIPT = """
primary=$1 slot=$2 target=$3 source=$4
shift 4
answer=$(psql -X -q -v VERBOSITY=sqlstate -d "$primary replication=yes" \
  -c "CREATE_REPLICATION_SLOT $slot PHYSICAL RESERVE_WAL" 2>&1) ||
  case $answer in
    *42710*) ;;
    *) printf '%s\\n' "$answer" >&2; exit UNFIT ;;
  esac
identify() {
  psql -X -A -t -F ' ' -d "$1 replication=yes" -c IDENTIFY_SYSTEM
}
number() {
  echo $(( (0x${1%/*} << 32) + 0x${1#*/} ))
}
if [ "$source" = "$primary" ]; then
  names=$(psql -X -A -t -d "$primary replication=yes" -c "SHOW synchronous_standby_names") || exit UNFIT
  case $names in
    *\\**) set -- --no-slot "$@" ;;
    *) set -- "--slot=$slot" "$@" ;;
  esac
else
  first=$(identify "$primary") || exit UNFIT
  tries=0
  while :; do
    second=$(identify "$source") || exit UNFIT
    if [ "${first%% *}" != "${second%% *}" ]; then
      echo "it holds another system than the primary" >&2
      exit UNFIT
    fi
    there=${first#* * } here=${second#* * }
    [ "$(number "${here%% *}")" -lt "$(number "${there%% *}")" ] || break
    tries=$((tries + 1))
    if [ $tries -gt 60 ]; then
      echo "it is behind the primary and did not catch up within 60 s" >&2
      exit UNFIT
    fi
    sleep 1
  done
fi
exec pg_basebackup -d "$source" -D "$target" -X stream --checkpoint=fast --no-sync --progress "$@"
""".replace("UNFIT", str(UNFIT))


def list_stages(spec: Spec, image: Image) -> List[Dict[str, Any]]:
    """Returns the only stage of a copy."""
    return [{"kind": "copy", "parser": "basebackup", "attempts": list_attempts(spec, image)}]


def list_attempts(spec: Spec, image: Image) -> List[List[str]]:
    """Returns the commands that copy, the preferred one first.

    A limit counts the bytes that are sent, so after compression (SendBaseBackup in basebackup.c chains throttle behind
    it): compressed, more data passes in the same time. Which methods both builds have shows only when they are asked for:
    an image need not have pg_config. WAL is not limited (PostgreSQL manual, reference of pg_basebackup, --max-rate).
    """
    if spec.max_rate is None:
        return [list_copy_arguments(spec, image)]
    limit = "--max-rate=%d" % spec.max_rate
    methods = ["server-zstd", "server-lz4"] if image.major >= 15 else []
    return [list_copy_arguments(spec, image, [limit, "--compress=" + method]) for method in methods] + [
        list_copy_arguments(spec, image, [limit])
    ]


def list_copy_arguments(spec: Spec, image: Image, options: Optional[List[str]] = None) -> List[str]:
    """Returns the command that copies. `options`: further ones of pg_basebackup."""
    return [
        *list_worker_arguments(spec.worker, image, "host"),
        # Messages in English, which worker.py reads.
        "--env",
        "LC_ALL=C",
        "--mount",
        "type=bind,source=%s,target=%s" % (PARTIAL, CONTAINER_DATA),
        "--mount",
        "type=bind,source=%s,target=%s,readonly" % (ETC, CONTAINER_ETC),
        "--entrypoint",
        "sh",
        image.pinned,
        "-c",
        SCRIPT,
        "clone",
        render_conninfo(spec, spec.primary_address),
        spec.slot,
        CONTAINER_DATA,
        render_conninfo(spec, spec.copied_address or spec.primary_address),
        *(options or []),
    ]


def render_conninfo(spec: Spec, address: Optional[str]) -> str:
    """Returns the connection string of a copy; its password is in the passfile. Without keepalives, a source that disappears
    without a FIN is noticed after the kernel's two hours."""
    return (
        "host=%s port=5432 user=%s passfile=%s/%s application_name='%s' connect_timeout=10 "
        "keepalives_idle=60 keepalives_interval=10 keepalives_count=6"
    ) % (
        address,
        REPLICATION_USER,
        CONTAINER_ETC,
        PASSFILE,
        copier_name(spec.node),
    )
