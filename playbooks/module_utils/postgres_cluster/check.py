"""Trying settings before they matter: a throw-away server with no data, in the image the node would run."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from typing import Dict, List, Optional

from .command import Problem, run
from .container import choose_shm_bytes, list_worker_arguments
from .image import Image, ensure_image
from .layout import CONF, HBA, SOCKETS
from .record import choose_image, read_record
from .spec import Outcome, Spec, read_memory_bytes

FILES = "/etc/postgresql-cluster-check"
SCRATCH = "/tmp/postgresql-cluster-check"

# Only what every image has. What the server says goes to stderr.
SCRIPT = """
cd "$2" && mkdir -m 700 data && initdb --pgdata=data --username=postgres --auth=trust --no-sync >initdb.log 2>&1 ||
  { cat initdb.log >&2; exit 3; }
pg_ctl --pgdata=data --log=server.log --wait --timeout=60 --options="$1" start >/dev/null ||
  { cat server.log >&2; exit 4; }
pg_ctl --pgdata=data --mode=immediate stop >/dev/null
"""
# Over what the files say: no client, no neighbour, no collector that takes the messages elsewhere, and nothing
# that would wait for a replica or write into an archive.
OVERRIDES: Dict[str, str] = {
    "config_file": "%s/%s" % (FILES, CONF),
    "hba_file": "%s/%s" % (FILES, HBA),
    "unix_socket_directories": SCRATCH,
    "listen_addresses": "",
    "synchronous_standby_names": "",
    "archive_command": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "",
    "lc_messages": "C",
}


def check(spec: Spec) -> Outcome:
    """Raises Problem when PostgreSQL would not start with the settings, or the image must not run on the data
    here. Changes nothing."""
    image = ensure_image(spec.image)[0] if read_record() is None else choose_image(spec)
    fault = find_fault(spec, image)
    if fault is not None:
        raise Problem(
            "PostgreSQL %d does not start with these settings: %s; nothing was changed"
            % (image.major, summarise(fault, spec.conf)),
            fault,
        )
    # Not the image: what it was tried in is not what the node runs.
    return Outcome(False)


def find_fault(spec: Spec, image: Image) -> Optional[str]:
    """What a server without data says when it does not start with this configuration; None when it does."""
    folder = tempfile.mkdtemp(prefix="postgres-cluster-check-")
    try:
        os.chmod(folder, 0o755)
        for name, text in ((CONF, spec.conf), (HBA, spec.hba)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        result = run(_list_arguments(spec, image, folder), check=False, timeout=120)
    finally:
        shutil.rmtree(folder)
    if result.returncode == 0:
        return None
    if result.returncode == 4:
        return result.stderr.strip()
    raise Problem("the settings could not be tried on %s" % spec.node, result.stderr)


def _list_arguments(spec: Spec, image: Image, folder: str) -> List[str]:
    scratch = "%s:rw,mode=1777" % SCRATCH
    # As the server's own container has it: a Docker without docker-init shows here, while the server still runs.
    arguments = [*list_worker_arguments(spec.worker, image, "none"), "--init"]
    # As the server's own: what it cannot map here it could not map there.
    arguments += ["--shm-size", str(choose_shm_bytes(read_memory_bytes()))]
    arguments += ["--tmpfs", scratch, "--tmpfs", "%s:rw,mode=1777" % SOCKETS]
    arguments += ["--mount", "type=bind,source=%s,target=%s,readonly" % (folder, FILES)]
    arguments += ["--entrypoint", "sh", image.pinned, "-c", SCRIPT, "check"]
    options = " ".join("-c %s='%s'" % item for item in OVERRIDES.items())
    return [*arguments, options, SCRATCH]


def summarise(fault: str, conf: str) -> str:
    """What the server said that tells the reason, in one line, paths of the trial left out. Where it quotes a
    value of `conf` and not whose it is, that is added."""
    lines = []
    for line in fault.splitlines():
        match = re.match(r"^(LOG|ERROR|FATAL|PANIC|DETAIL|HINT):\s+(.*)$", line)
        if match is None or (match.group(1) == "LOG" and FILES not in line and "invalid" not in line):
            continue
        text = re.sub(r' in file "%s/([^"]+)" line' % re.escape(FILES), r" in \1 line", match.group(2))
        # Only repeats that there was a reason.
        if "contains errors" not in text and text not in lines:
            lines.append(text)
    reason = "; ".join(lines) or fault.strip().splitlines()[-1]
    names = [
        name
        for name, value in re.findall(r"^(\w+) = '(.+)'$", conf, re.MULTILINE)
        if name not in reason and any('"%s"' % word.strip() in reason for word in value.split(","))
    ]
    return "%s (%s)" % (reason, ", ".join(names)) if names else reason
