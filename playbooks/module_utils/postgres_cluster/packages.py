"""Installs Docker from Debian's archive and holds its packages, so that no upgrade restarts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time

from .attempts import Attempts
from .command import Problem, run
from .docker import ask, is_installed, is_starting_at_boot
from .ecr import HELPER, PACKAGE
from .files import make_directory, read_json, read_text, write_text

# Since Debian 13 the client is a package of its own, which docker.io only recommends. The pattern is an exact name that
# may also match nothing, as on Debian 12 (apt-patterns(7)).
DOCKER = ("docker.io", "?exact-name(docker-cli)")
# An unattended upgrade of any of these packages restarts Docker, and PostgreSQL with it.
HELD = ("docker.io", "containerd", "runc")
# On a new machine cloud-init and apt's timers hold the lock for minutes.
LOCK_TIMEOUT_SECONDS = 600
DAEMON = "/etc/docker/daemon.json"
# bridge: every container here uses the host's network or none. Docker's default bridge occupies 172.17.0.0/16, which
# hides a VPC or an office network with these addresses.
# live-restore: containers keep running while Docker is restarted, or after it crashed. Without it the Docker that is
# started after a crash stops them and does not start them again.
SETTINGS = {"bridge": "none", "live-restore": True}
# The content that earlier versions wrote.
FORMER_SETTINGS = {"bridge": "none"}
# apt retries each file; PAUSES retry the whole installation, as a mirror that is being updated is consistent again later.
APT_RETRIES = 3
PAUSES = (5, 20)
NETWORK = ("failed to fetch", "unable to fetch", "could not resolve", "could not connect", "temporary failure", "timed out")


def ensure_docker() -> bool:
    """Installs Docker if it is missing, holds its packages, starts it now and at boot; returns whether anything changed."""
    changed = False
    if not is_installed():
        configure()
        install(*DOCKER)
        changed = True
    changed = hold() or changed
    active = run(["systemctl", "is-active", "--quiet", "docker.service"], check=False, timeout=60)
    if active.returncode != 0 or not is_starting_at_boot():
        run(["systemctl", "enable", "--now", "docker.service"], timeout=180)
        changed = True
    return ensure_live_restore() or changed


def configure() -> None:
    """Writes Docker's configuration before its first start, as applying it later would restart every container. An
    existing file is left alone."""
    if read_text(DAEMON) is None:
        make_directory(os.path.dirname(DAEMON))
        write_text(DAEMON, json.dumps(SETTINGS) + "\n")


def ensure_live_restore() -> bool:
    """Enables live-restore in a running Docker, which restarts nothing (dockerd, "Daemon configuration file"); returns
    whether anything changed. A file that other software wrote, or an option on the command line, is left alone."""
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


def ensure_ecr_helper() -> None:
    """Installs the program that requests logins to Amazon ECR if it is missing."""
    ensure_program(HELPER, PACKAGE)


def ensure_program(program: str, package: str) -> None:
    """Installs the package of a program if the program is missing."""
    if shutil.which(program) is None:
        install(package)


def install(package: str, *more: str) -> None:
    """Installs a package, and `more` with it. Waits for other installations and retries after network errors.

    Raises Problem with the attempts made and the time they took.
    """
    attempts = Attempts(PAUSES)
    while True:
        result = update()
        if result.returncode == 0:
            result = apt("-y", "--no-install-recommends", "install", package, *more)
        if result.returncode == 0:
            return
        if not any(word in result.stderr.lower() for word in NETWORK):
            raise Problem("apt cannot install %s (exit code %d)" % (package, result.returncode), result.stderr[-4000:])
        if not attempts.pause():
            raise Problem(
                "apt cannot install %s: its downloads failed %s, each file up to %d times. Check that this node "
                "reaches the mirrors in /etc/apt (route, security group, proxy), then run this again"
                % (package, attempts, APT_RETRIES + 1),
                result.stderr[-4000:],
            )


def update() -> "subprocess.CompletedProcess[str]":
    """Updates the package lists, waiting for their lock; returns the result of the last attempt."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        result = apt("update")
        # DPkg::Lock::Timeout does not cover the lock of the package lists.
        if result.returncode == 0 or "lock" not in result.stderr.lower() or time.monotonic() > deadline:
            return result
        time.sleep(2)


def apt(*arguments: str) -> "subprocess.CompletedProcess[str]":
    options = ["-o", "DPkg::Lock::Timeout=%d" % LOCK_TIMEOUT_SECONDS, "-o", "Acquire::Retries=%d" % APT_RETRIES]
    return run(["apt-get", "-q", *options, *arguments], env={"DEBIAN_FRONTEND": "noninteractive"}, check=False)


def hold() -> bool:
    """Marks the installed ones of the packages as held; returns whether anything changed."""
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Want} ${db:Status-Status}\\n", *HELD]
    # Exit code 1 if one of them is unknown, as runc is if Docker was installed from elsewhere.
    listed = run(query, check=False, timeout=60).stdout
    unheld = [
        fields[0]
        for fields in (line.split() for line in listed.splitlines())
        if len(fields) == 3 and fields[1] != "hold" and fields[2] == "installed"
    ]
    if unheld:
        run(["apt-mark", "hold", *unheld], timeout=60)
    return bool(unheld)
