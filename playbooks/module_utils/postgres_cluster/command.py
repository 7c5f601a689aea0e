"""Runs programs and reports their failures."""

from __future__ import annotations

import os
import subprocess
from typing import List, Mapping, Optional


class Problem(Exception):
    """Why the work cannot be done, for people: what was found and the next step.

    `log` holds the last lines of output of the failing program or server.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.log = log.strip()


class Pending(Exception):
    """The step's work advances but takes longer than the call may last. A later call continues it. Not a Problem: what
    handles a failure must not see it."""


def run(
    argv: List[str],
    stdin: Optional[str] = None,
    timeout: Optional[float] = None,
    env: Optional[Mapping[str, str]] = None,
    check: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Runs a program to its end and captures its output as text, in English.

    Raises Problem if it fails (unless `check` is off), is not installed, or takes longer than `timeout` seconds.
    """
    whole_env = dict(os.environ, LC_ALL="C.UTF-8", **(env or {}))
    try:
        result = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            # Programs quote what they cannot read: a file of another key is no text.
            errors="replace",
            timeout=timeout,
            env=whole_env,
        )
    except FileNotFoundError:
        raise Problem("%s is not installed on this node" % argv[0])
    except subprocess.TimeoutExpired:
        raise Problem("%s did not end within %d s" % (describe(argv), timeout or 0))
    if check and result.returncode != 0:
        raise Problem(
            "%s failed with exit code %d" % (describe(argv), result.returncode),
            (result.stderr or result.stdout)[-4000:],
        )
    return result


def describe(argv: List[str]) -> str:
    """Returns the first words of a command for a message, e.g. `docker pull postgres:17`."""
    words = argv[:3] if len(argv) > 3 else argv
    return "`%s%s`" % (" ".join(words), " …" if len(argv) > 3 else "")
