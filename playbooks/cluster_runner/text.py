"""Makes text from a node safe to log."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

# Control characters, invisible and bidirectional formatting characters, line and paragraph separators, surrogates.
_HIDDEN = ("Cc", "Cf", "Zl", "Zp", "Cs")

# ansible-core 2.19 and later append this to failures if tracebacks are off.
_NOTE = re.compile(r"[ \n]?\(traceback unavailable\)")


def drop_traceback_note(value: Any) -> str:
    """Returns `value` as text, without Ansible's note that there is no traceback."""
    return _NOTE.sub("", str(value))


def clean(value: Any, limit: int) -> str:
    """Returns the last `limit` characters of `value` as text. Line ends become line feeds; invisible characters other than
    tabs and line feeds are written out, e.g. `<U+202E>`."""
    text = str(value)[-limit:].replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        character if character in "\n\t" or unicodedata.category(character) not in _HIDDEN else "<U+%04X>" % ord(character)
        for character in text
    )


def clean_line(value: Any, limit: int = 4000) -> str:
    """Returns `clean(value, limit)` on one line."""
    return " ".join(clean(value, limit).split())
