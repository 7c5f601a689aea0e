"""How large the archived WAL in the repository is, which `pgbackrest info` does not tell."""

from __future__ import annotations

import re
import subprocess
import threading
from typing import Optional

from .backup_layout import BACKREST_CONF, TOOLS
from .layout import ETC

PGBACKREST = TOOLS + "/pgbackrest"
# S3 is asked for each folder, which has 256 segments. No other backup begins meanwhile.
LIST_SECONDS = 120
CHUNK = 2**20
MAX_BYTES = 2**53 - 1
# As pgBackRest writes it (src/command/repo/ls.c). A name cannot look like that: in JSON its quotes have a backslash.
SIZE = re.compile(rb'"size":(\d{1,16})[,}]')


def measure_archive(cluster: str) -> Optional[int]:
    """Returns the size of the archived WAL in bytes; None if it cannot be listed in time. The list is not kept: it may be
    larger than the memory."""
    words = ["--config=%s/%s" % (ETC, BACKREST_CONF), "--stanza=" + cluster, "--log-level-console=off", "--log-level-stderr=error"]
    command = [PGBACKREST, *words, "--output=json", "--recurse", "repo-ls", "archive/" + cluster]
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as error:
        print("the archived WAL cannot be measured: %s" % error)
        return None
    timer = threading.Timer(LIST_SECONDS, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        total, rest = 0, b""
        for chunk in iter(lambda: process.stdout.read(CHUNK), b""):  # type: ignore[union-attr]
            text = rest + chunk
            end = 0
            for match in SIZE.finditer(text):
                total += int(match.group(1))
                end = match.end()
            # A size may go on in the next chunk.
            rest = text[max(end, len(text) - 64) :]
        code = process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if code != 0 or total > MAX_BYTES:
        print("the archived WAL could not be measured (exit code %d)" % code)
        return None
    return total
