"""The control file, in which PostgreSQL stores its own state."""

from __future__ import annotations

import struct
from typing import Any, Dict, NamedTuple, Optional

from .command import Problem, run
from .docker import inspect_image
from .image import Image
from .layout import CONTAINER_DATA, DATA
from .lsn import parse_lsn

# DBState in src/include/catalog/pg_control.h.
_STATES = (
    "starting up",
    "shut down",
    "shut down in recovery",
    "shutting down",
    "in crash recovery",
    "in archive recovery",
    "in production",
)


class Control(NamedTuple):
    """The head of the control file."""

    system_identifier: int
    # As pg_controldata prints it.
    state: str
    # Position of the latest checkpoint record.
    checkpoint: int
    timeline: int


def read_head(directory: Optional[str] = None) -> Optional[Control]:
    """Reads the head of the control file without starting a program. Returns None if there is no such file.

    The layout is the same since PostgreSQL 11, but it is not guaranteed: compare the result with the running server
    before you rely on it.
    """
    try:
        with open((directory or DATA) + "/global/pg_control", "rb") as file:
            head = file.read(52)
    except OSError:
        return None
    if len(head) < 52:
        return None
    identifier, _, _, state, _, checkpoint, _, timeline = struct.unpack("=QIIi4xqQQI", head)
    word = _STATES[state] if 0 <= state < len(_STATES) else "unknown state %d" % state
    return Control(identifier, word, checkpoint, timeline)


def read_text_of(image: Image) -> str:
    """Returns the output of pg_controldata for data whose server is stopped."""
    mount = "type=bind,source=%s,target=%s,readonly" % (DATA, CONTAINER_DATA)
    user = "%d:%d" % image.owner
    worker = ["docker", "run", "--rm", "--env", "LC_ALL=C", "--network", "none", "--user", user, "--mount", mount]
    command = ["--entrypoint", "pg_controldata", image.pinned, CONTAINER_DATA]
    return run([*worker, *command], timeout=60).stdout


def read_position(reference: str) -> Optional[Dict[str, Any]]:
    """Returns {"state", "timeline", "lsn"} of data whose server is stopped, with an image that is on the node. Returns None
    if the image is not, or the control file is missing or damaged."""
    found = inspect_image(reference)
    if found is None:
        return None
    mount = "type=bind,source=%s,target=%s,readonly" % (DATA, CONTAINER_DATA)
    # Root reads data of any owner. Its only capability is reading, so it changes nothing.
    worker = ["docker", "run", "--rm", "--env", "LC_ALL=C", "--network", "none", "--user", "0:0", "--mount", mount]
    drop = ["--cap-drop", "ALL", "--cap-add", "DAC_READ_SEARCH"]
    command = ["--entrypoint", "pg_controldata", found["Id"], CONTAINER_DATA]
    result = run([*worker, *drop, *command], timeout=60, check=False)
    if result.returncode != 0:
        return None
    try:
        return parse_position(result.stdout)
    except Problem:
        return None


def parse_position(text: str) -> Dict[str, Any]:
    """Parses the output of pg_controldata under LC_ALL=C. The position is the latest checkpoint or the minimum recovery
    point, whichever is later. Raises Problem if one is missing."""
    lines = {
        label: value.strip()
        for label, _, value in (line.partition(":") for line in text.splitlines())
    }
    try:
        checkpoint = (lines["Latest checkpoint location"], int(lines["Latest checkpoint's TimeLineID"]))
        minimum = (
            lines["Minimum recovery ending location"],
            int(lines["Min recovery ending loc's timeline"]),
        )
        lsn, timeline = max(checkpoint, minimum, key=lambda position: parse_lsn(position[0]))
        return {"state": lines["Database cluster state"], "timeline": timeline, "lsn": lsn}
    except (KeyError, ValueError):
        raise Problem("pg_controldata does not report the position of the data", text)
