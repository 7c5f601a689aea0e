"""Which Python of a node an ansible-core supports, for the reason of a module that crashed.

An unsupported one may well work: 2.14.18 passes this action's tests on nodes with Python 3.13. So it is no reason to
refuse a node, but the likely reason of a crash.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

# The newest minor version of Python 3 on nodes, by the first ansible-core 2.x that supports it (ansible-core's
# documentation, "Support matrix").
NEWEST_PYTHON = ((14, 11), (16, 12), (18, 13), (20, 14))


def is_crash(answer: Mapping[str, Any]) -> bool:
    """Whether a module ended in a traceback instead of an answer."""
    return bool(answer.get("failed")) and "Traceback (most recent call last)" in str(answer.get("module_stderr", ""))


def read_python(path: str) -> Optional[int]:
    """Returns the minor version of Python 3 in the path that /usr/bin/python3 leads to; None if the path has none."""
    match = re.search(r"/python3\.(\d{1,2})\s*\Z", path)
    return None if match is None else int(match.group(1))


def explain_crash(module: str, core: str, python: Optional[int]) -> Optional[str]:
    """Returns why `module` crashed on a node with Python 3.`python` under ansible-core `core` (`2.14.18`), for people; None
    if that version supports the node's Python, or may."""
    match = re.match(r"2\.(\d+)\.", core)
    if match is None or python is None:
        return None
    supported = [newest for first, newest in NEWEST_PYTHON if first <= int(match.group(1))]
    wanted = [first for first, newest in NEWEST_PYTHON if newest >= python]
    if not supported or python <= supported[-1] or not wanted:
        return None
    return (
        "%s crashed on this node's Python 3.%d, and ansible-core %s on the runner supports nodes up to Python 3.%d. Install "
        "ansible-core 2.%d or later on the runner (pipx install ansible-core), then run this again"
        % (module, python, core, supported[-1], wanted[0])
    )
