"""Text that a node wrote, as the log shows it."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

# Controls, what is invisible or turns the direction of text, line and paragraph separators, half characters.
_HIDDEN = ("Cc", "Cf", "Zl", "Zp", "Cs")

# ansible-core 2.19 and later end a failure with this where tracebacks are off.
_NOTE = re.compile(r"[ \n]?\(traceback unavailable\)")


def drop_traceback_note(value: Any) -> str:
    """`value` as text, without Ansible's note that there is no traceback."""
    return _NOTE.sub("", str(value))


def clean(value: Any, limit: int) -> str:
    """`value` as text with line feeds as line ends, the last `limit` characters of it; whatever a reader could not see
    is written out, e.g. `<U+202E>`. Tabs and line feeds stay."""
    text = str(value)[-limit:].replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        character if character in "\n\t" or unicodedata.category(character) not in _HIDDEN else "<U+%04X>" % ord(character)
        for character in text
    )


def clean_line(value: Any, limit: int = 4000) -> str:
    """The same on one line."""
    return " ".join(clean(value, limit).split())
