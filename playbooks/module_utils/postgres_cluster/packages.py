"""Docker from Debian's archive, installed once and kept from restarting on its own."""

from __future__ import annotations

import json
import os
import subprocess
import time

from .attempts import Attempts
from .command import Problem, run
from .docker import ask, is_installed, is_starting_at_boot
from .files import make_directory, read_json, read_text, write_text

# Trap 12: an unattended upgrade of any of them restarts Docker, and PostgreSQL with it.
HELD = ("docker.io", "containerd", "runc")
# Trap 31: on a fresh machine cloud-init and apt's timers hold the lock for minutes.
PATIENCE_SECONDS = 600
DAEMON = "/etc/docker/daemon.json"
# Every container here has the host's network or none. Docker's own takes 172.17.0.0/16, and with it the way to a VPC
# or an office that uses these addresses.
# live-restore: a Docker that is restarted, or that crashed, finds its containers running and leaves them so. Without it
# the Docker that comes after a crash stops them, and starts none of them again.
SETTINGS = {"bridge": "none", "live-restore": True}
# What earlier versions wrote.
FORMER_SETTINGS = {"bridge": "none"}
# apt's own repetitions of one file, and ours of the whole: a mirror in the middle of an update is whole again later.
APT_RETRIES = 3
PAUSES = (5, 20)
NETWORK = ("failed to fetch", "unable to fetch", "could not resolve", "could not connect", "temporary failure", "timed out")


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
    return ensure_live_restore() or changed


def configure() -> None:
    """Writes what Docker starts with, before it starts for the first time: later it would cost a restart of every
    container. What somebody else has written stays."""
    if read_text(DAEMON) is None:
        make_directory(os.path.dirname(DAEMON))
        write_text(DAEMON, json.dumps(SETTINGS) + "\n")


def ensure_live_restore() -> bool:
    """Switches live-restore on in a Docker that runs, which restarts nothing (dockerd, "Daemon configuration file"); gives
    whether anything changed. A file that somebody else has written stays, as does a choice on the command line."""
    if (ask("/info") or {}).get("LiveRestoreEnabled") is not False:
        return False
    text = read_text(DAEMON)
    if text is None:
        wanted = {"live-restore": True}
    elif read_json(DAEMON) == FORMER_SETTINGS:
        wanted = SETTINGS
    else:
        return False
    make_directory(os.path.dirname(DAEMON))
    write_text(DAEMON, json.dumps(wanted) + "\n")
    run(["systemctl", "reload", "docker.service"], timeout=60)
    return True


def install(package: str) -> None:
    """Installs a package, with patience for other installations and for a network that is not there yet.

    Raises Problem, which says what was tried, how often and over how long.
    """
    attempts = Attempts(PAUSES)
    while True:
        result = update()
        if result.returncode == 0:
            result = apt("-y", "--no-install-recommends", "install", package)
        if result.returncode == 0:
            return
        if not any(word in result.stderr.lower() for word in NETWORK):
            raise Problem("apt cannot install %s (exit code %d)" % (package, result.returncode), result.stderr[-4000:])
        if not attempts.pause():
            raise Problem(
                "apt cannot install %s: its downloads failed %s, each file up to %d times. Look whether this node "
                "reaches the mirrors in /etc/apt (route, security group, proxy), then run this again"
                % (package, attempts, APT_RETRIES + 1),
                result.stderr[-4000:],
            )


def update() -> "subprocess.CompletedProcess[str]":
    """Updates the package lists, once nobody else does; gives how that ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        result = apt("update")
        # The lock of the package lists is the one that DPkg::Lock::Timeout does not cover.
        if result.returncode == 0 or "lock" not in result.stderr.lower() or time.monotonic() > deadline:
            return result
        time.sleep(2)


def apt(*arguments: str) -> "subprocess.CompletedProcess[str]":
    options = ["-o", "DPkg::Lock::Timeout=%d" % PATIENCE_SECONDS, "-o", "Acquire::Retries=%d" % APT_RETRIES]
    return run(["apt-get", "-q", *options, *arguments], env={"DEBIAN_FRONTEND": "noninteractive"}, check=False)


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
