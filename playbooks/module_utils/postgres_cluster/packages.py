"""Docker from Debian's archive, installed once and kept from restarting on its own."""

from __future__ import annotations

import json
import os
import time

from .command import Problem, run
from .docker import is_installed, is_starting_at_boot
from .files import make_directory, read_text, write_text

# Trap 12: an unattended upgrade of any of them restarts Docker, and PostgreSQL with it.
HELD = ("docker.io", "containerd", "runc")
# Trap 31: on a fresh machine cloud-init and apt's timers hold the lock for minutes.
PATIENCE_SECONDS = 600
DAEMON = "/etc/docker/daemon.json"
# Every container here has the host's network or none. Docker's own takes 172.17.0.0/16, and with it the way to a VPC
# or an office that uses these addresses.
SETTINGS = {"bridge": "none"}


def ensure_docker() -> bool:
    """Installs Docker if it is missing, holds its packages, starts it now and at boot; gives whether
    anything changed."""
    changed = False
    if not is_installed():
        configure()
        install("docker.io")
        changed = True
    changed = hold() or changed
    active = run(["systemctl", "is-active", "--quiet", "docker.service"], check=False, timeout=60)
    if active.returncode != 0 or not is_starting_at_boot():
        run(["systemctl", "enable", "--now", "docker.service"], timeout=180)
        changed = True
    return changed


def configure() -> None:
    """Writes what Docker starts with, before it starts for the first time: later it would cost a restart of every
    container. What somebody else has written stays."""
    if read_text(DAEMON) is None:
        make_directory(os.path.dirname(DAEMON))
        write_text(DAEMON, json.dumps(SETTINGS) + "\n")


def install(package: str) -> None:
    """Installs a package, with patience for whoever else is installing."""
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    wait = ["-o", "DPkg::Lock::Timeout=%d" % PATIENCE_SECONDS]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        update = run(["apt-get", "-q", *wait, "update"], env=environment, check=False)
        if update.returncode == 0:
            break
        # The lock of the package lists is the one that DPkg::Lock::Timeout does not cover.
        if "lock" not in update.stderr.lower() or time.monotonic() > deadline:
            raise Problem("the package lists cannot be updated", update.stderr[-2000:])
        time.sleep(2)
    run(
        ["apt-get", "-q", "-y", *wait, "--no-install-recommends", "install", package],
        env=environment,
    )


def hold() -> bool:
    """Marks the packages as held where they are installed; gives whether anything changed."""
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Want} ${db:Status-Status}\\n", *HELD]
    # Exit code 1 when one of them is unknown, as runc is where Docker came from elsewhere.
    listed = run(query, check=False, timeout=60).stdout
    loose = [
        fields[0]
        for fields in (line.split() for line in listed.splitlines())
        if len(fields) == 3 and fields[1] != "hold" and fields[2] == "installed"
    ]
    if loose:
        run(["apt-mark", "hold", *loose], timeout=60)
    return bool(loose)
