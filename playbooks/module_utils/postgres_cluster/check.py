"""Tries settings and an image on a temporary server without data, before they are used on the node."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from typing import Dict, List, NamedTuple, Optional

from .backup_layout import CONTAINER_SPOOL, TOOLS
from .collation import (
    Answers,
    Orders,
    advise,
    describe_moved,
    find_missing,
    find_moved,
    parse_answers,
    read_orders,
    render_questions,
)
from .command import Problem, run
from .container import MIB, choose_shm_bytes, list_worker_arguments
from .image import Image, ensure_image
from .layout import CONF, CONTAINER_DATA, CONTAINER_ETC, HBA, SOCKETS
from .psql import render_options
from .record import choose_image, read_record
from .spec import Outcome, Spec, read_memory_bytes

SCRATCH = "/tmp/postgresql-cluster-check"
QUESTIONS = "questions.sql"

# Uses only programs that every image has. Server messages go to stderr, query results to stdout. The first start logs to
# stderr and in English, so that its errors can be parsed; the second one logs as the node's own server will.
SCRIPT = """
cd "$1" && initdb --pgdata="$PGDATA" --username=postgres --auth=trust --no-sync >initdb.log 2>&1 ||
  { cat initdb.log >&2; exit 3; }
start() {
  pg_ctl --pgdata="$PGDATA" --log="$1" --wait --timeout=60 --options="$2" start >/dev/null && return
  cat "$1" >&2
  [ ! -f "$PGDATA/current_logfiles" ] || (cd "$PGDATA" && while read -r _ file; do cat "$file"; done <current_logfiles) >&2
  exit 4
}
stop() { pg_ctl --pgdata="$PGDATA" --mode=immediate stop >/dev/null; }
start readable.log "$2"
[ ! -f "$4" ] || psql -X -q -A -t -h "$1" -U postgres -d postgres -f "$4" || exit 5
stop
start own.log "$3"
stop
"""
# Overrides the files: no clients, no other servers, no waiting for a replica, no writing into an archive.
OVERRIDES: Dict[str, str] = {
    "config_file": "%s/%s" % (CONTAINER_ETC, CONF),
    "hba_file": "%s/%s" % (CONTAINER_ETC, HBA),
    "unix_socket_directories": SCRATCH,
    "listen_addresses": "",
    "synchronous_standby_names": "",
    "archive_command": "",
    "log_line_prefix": "",
}
# Messages go to stderr, in English.
READABLE: Dict[str, str] = {
    "logging_collector": "off",
    "log_destination": "stderr",
    "lc_messages": "C",
}


class Trial(NamedTuple):
    """The result of a temporary server."""

    # Its messages if it did not start, else None.
    fault: Optional[str]
    # About its libraries. None: they were not queried.
    answers: Optional[Answers]


def check(spec: Spec) -> Outcome:
    """Raises Problem if PostgreSQL would not start with the settings or the image must not run on the node's data.
    Changes nothing."""
    record = read_record()
    image = ensure_image(spec.image)[0] if record is None else choose_image(spec)
    is_other = record is not None and record["digest"] != image.pinned
    orders = read_orders(spec.container, image.major) if is_other else None
    if is_other and orders is None:
        raise Problem(
            "PostgreSQL on %s does not answer, so it is unknown how it sorts text and whether %s sorts it the same; nothing "
            "was changed. Run this again" % (spec.node, spec.image)
        )
    trial = try_out(spec, image, orders)
    if trial.fault is not None:
        raise Problem(
            "PostgreSQL %d does not start with these settings: %s; nothing was changed"
            % (image.major, summarise(trial.fault, spec.conf)),
            trial.fault,
        )
    notes = [] if orders is None or trial.answers is None else require_same_order(spec, orders, trial.answers)
    # Without the image: the node does not run it yet.
    return Outcome(False, notes=notes)


def require_same_order(spec: Spec, orders: Orders, answers: Answers) -> List[str]:
    """Raises Problem if the image's libraries lack a locale of a database, or sort stored text in another order and that is
    not allowed. Returns notes on what people must do after the change of the image."""
    missing = find_missing(orders, answers)
    if missing is not None:
        raise Problem(
            "%s cannot serve these databases: %s. Stay on an image that has it; nothing was changed" % (spec.image, missing)
        )
    moved = find_moved(orders, answers)
    if moved and not spec.collation_change:
        raise Problem(
            "%s sorts text with different library versions than existing indexes were built with; those indexes would be "
            "corrupt until they are rebuilt: %s; nothing was changed. Stay on an image with the same libraries; or, where they "
            "are rebuilt with these, run ALTER DATABASE … REFRESH COLLATION VERSION (ALTER COLLATION … REFRESH VERSION "
            "for a collation of its own) and then this again; or plan the time to rebuild them. %s"
            % (spec.image, describe_moved(moved), spec.collation_way_out)
        )
    return advise(moved, orders.major)


def find_fault(spec: Spec, image: Image) -> Optional[str]:
    """Returns the messages of a server without data that does not start with this configuration; None if it starts."""
    return try_out(spec, image, None).fault


def try_out(spec: Spec, image: Image, orders: Optional[Orders]) -> Trial:
    """Starts a server without data in an image with this configuration, and queries its sort order. Raises Problem if the
    trial itself fails."""
    folder = tempfile.mkdtemp(prefix="postgres-cluster-check-")
    files = {CONF: spec.conf, HBA: spec.hba}
    if orders is not None:
        files[QUESTIONS] = render_questions(orders)
    try:
        os.chmod(folder, 0o755)
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        result = run(_list_arguments(spec, image, folder), check=False, timeout=240)
    finally:
        shutil.rmtree(folder)
    if result.returncode == 4:
        return Trial(result.stderr.strip(), None)
    if result.returncode != 0:
        raise Problem("the settings could not be tried on %s" % spec.node, result.stderr)
    return Trial(None, None if orders is None else parse_answers(result.stdout, orders))


def _list_arguments(spec: Spec, image: Image, folder: str) -> List[str]:
    # The same user and paths as the server's own container (container.py), so that a Docker without docker-init and a
    # missing or read-only path are found while the server still runs.
    arguments = [*list_worker_arguments(spec.worker, image, "none"), "--init", "--no-healthcheck"]
    # What it cannot map here it could not map there.
    arguments += ["--shm-size", str(choose_shm_bytes(read_memory_bytes()))]
    data = "%s:rw,mode=0700,uid=%d,gid=%d" % (CONTAINER_DATA, *image.owner)
    arguments += ["--tmpfs", data, "--env", "PGDATA=" + CONTAINER_DATA]
    arguments += ["--tmpfs", "%s:rw,mode=1777" % SCRATCH, "--tmpfs", "%s:rw,mode=1777" % SOCKETS]
    # Empty here: nothing is archived.
    for path in (TOOLS, CONTAINER_SPOOL):
        arguments += ["--tmpfs", "%s:rw,mode=0755" % path]
    arguments += ["--mount", "type=bind,source=%s,target=%s,readonly" % (folder, CONTAINER_ETC)]
    for volume in image.volumes:
        arguments += ["--mount", "type=tmpfs,destination=%s,tmpfs-size=%d" % (volume, MIB)]
    # For psql alone; the same as in every session of ours.
    arguments += ["--env", "PGOPTIONS=" + render_options(image.major)]
    arguments += ["--entrypoint", "sh", image.pinned, "-c", SCRIPT, "check", SCRATCH]
    options = [_render({**OVERRIDES, **READABLE}), _render(OVERRIDES)]
    return [*arguments, *options, "%s/%s" % (CONTAINER_ETC, QUESTIONS)]


def _render(overrides: Dict[str, str]) -> str:
    return " ".join("-c %s='%s'" % item for item in overrides.items())


def summarise(fault: str, conf: str) -> str:
    """Returns the reason from the server's messages on one line, without paths of the trial. If they quote a value of
    `conf` without its setting, the setting's name is appended."""
    lines = []
    for line in fault.splitlines():
        match = re.match(r"^(LOG|ERROR|FATAL|PANIC|DETAIL|HINT):\s+(.*)$", line)
        if match is None or (match.group(1) == "LOG" and CONTAINER_ETC not in line and "invalid" not in line):
            continue
        text = re.sub(r' in file "%s/([^"]+)" line' % re.escape(CONTAINER_ETC), r" in \1 line", match.group(2))
        # "contains errors" repeats that there was one.
        if "contains errors" not in text and text not in lines:
            lines.append(text)
    reason = "; ".join(lines) or fault.strip().splitlines()[-1]
    names = [
        name
        for name, value in re.findall(r"^(\w+) = '(.+)'$", conf, re.MULTILINE)
        if name not in reason and any(_is_quoted(word.strip(), reason) for word in value.split(","))
    ]
    return "%s (%s)" % (reason, ", ".join(names)) if names else reason


def _is_quoted(value: str, reason: str) -> bool:
    """Whether a message quotes a value, or a file in it if it is a directory."""
    return '"%s"' % value in reason or (value.startswith("/") and '"%s/' % value.rstrip("/") in reason)
