"""Installs the program that makes backups, and the timer that starts it."""

from __future__ import annotations

import glob
import os
import shutil
from typing import Dict, Optional

from . import (
    archive_push,
    archive_size,
    backrest_errors,
    backup_due,
    backup_layout,
    backup_program,
    backup_run,
    backup_state,
    command,
    files,
    layout,
    lsn,
    psql,
    repository,
    restore_branch,
    sizes,
    stages,
    untrusted,
    worker,
)
from .backup_state import ORDER, STATE, WATCHED, service_name
from .boot import read_source
from .command import run
from .files import make_directory, read_text, remove_file, write_text

# Not the guard's folder: a cluster without backups has no such program.
FOLDER = "/usr/local/lib/postgres-cluster-backup"
PACKAGE = FOLDER + "/postgres_cluster"
UNITS = "/etc/systemd/system"
# Where `systemctl enable` links timers.
WANTED = UNITS + "/timers.target.wants"
# How long the unit has to end a backup.
STOP_SECONDS = 60
MODULES = (
    archive_push,
    archive_size,
    backrest_errors,
    backup_due,
    backup_layout,
    backup_program,
    backup_run,
    backup_state,
    command,
    files,
    layout,
    lsn,
    psql,
    repository,
    restore_branch,
    sizes,
    stages,
    untrusted,
    worker,
)

# mixed: only the program gets the signal. It ends pgBackRest in the container, whose client would otherwise end first.
SERVICE_TEXT = """[Unit]
Description=Backup of PostgreSQL cluster %(cluster)s, if one is due
RequiresMountsFor=%(root)s
Wants=network-online.target
After=docker.service network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
WorkingDirectory=%(folder)s
ExecStart=/usr/bin/python3 -B -m postgres_cluster.backup_program %(cluster)s
KillMode=mixed
TimeoutStopSec=%(stop)d
UMask=0077
"""

# The program decides what is due. A time that passed while the node was down is made up for.
TIMER_TEXT = """[Unit]
Description=Looks whether a backup of PostgreSQL cluster %(cluster)s is due

[Timer]
OnCalendar=*:0/15
RandomizedDelaySec=30
Persistent=true

[Install]
WantedBy=timers.target
"""


def is_present() -> bool:
    """Whether anything of it is installed."""
    return os.path.lexists(FOLDER) or find_cluster() is not None


def is_installed(cluster: Optional[str] = None) -> bool:
    """Whether program and units are installed as this version has them, for the cluster or, without a name, for the one whose
    timer is there."""
    cluster = cluster or find_cluster()
    if cluster is None:
        return False
    is_current = all(read_text(path) == text for path, text in list_files(cluster).items())
    return is_current and os.path.lexists("%s/%s" % (WANTED, timer_name(cluster)))


def install(cluster: str) -> bool:
    """Installs the program and starts its timer; returns whether anything changed. A backup that runs goes on."""
    if is_installed(cluster):
        return False
    for folder in (FOLDER, PACKAGE):
        make_directory(folder)
    for path, text in list_files(cluster).items():
        write_text(path, text)
    run(["systemctl", "daemon-reload"], timeout=60)
    run(["systemctl", "enable", "--now", timer_name(cluster)], timeout=60)
    return True


def remove(cluster: str) -> bool:
    """Ends a backup that runs, and removes program and units; returns whether there were any."""
    if not is_present():
        return False
    units = (timer_name(cluster), service_name(cluster))
    # The timer first, or it would start the service again. Units that are not there are no failure.
    for unit in units:
        run(["systemctl", "stop", unit], check=False, timeout=STOP_SECONDS + 60)
    run(["systemctl", "disable", units[0]], check=False, timeout=60)
    for unit in units:
        remove_file("%s/%s" % (UNITS, unit))
    run(["systemctl", "daemon-reload"], timeout=60)
    run(["systemctl", "reset-failed", *units], check=False, timeout=60)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for path in (ORDER, WATCHED, STATE):
        remove_file(path)
    return True


def timer_name(cluster: str) -> str:
    """Returns the name of the timer."""
    return service_name(cluster).replace(".service", ".timer")


def find_cluster() -> Optional[str]:
    """Returns the cluster whose timer is on this node; None without one."""
    before, after = timer_name("*").split("*")
    found = sorted(glob.glob("%s/%s" % (UNITS, timer_name("*"))))
    return os.path.basename(found[0])[len(before) : -len(after)] if found else None


def list_files(cluster: str) -> Dict[str, str]:
    """Returns {path: text} of program and units."""
    texts = {"%s/%s.py" % (PACKAGE, module.__name__.rsplit(".", 1)[-1]): read_source(module) for module in MODULES}
    values = {"cluster": cluster, "root": layout.ROOT, "folder": FOLDER, "stop": STOP_SECONDS}
    return {
        PACKAGE + "/__init__.py": "",
        **texts,
        "%s/%s" % (UNITS, service_name(cluster)): SERVICE_TEXT % values,
        "%s/%s" % (UNITS, timer_name(cluster)): TIMER_TEXT % values,
    }
