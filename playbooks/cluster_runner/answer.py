"""Validates the results of modules. Root on a node controls them, and Ansible acts on some: facts, for example, become
variables that the tasks of other nodes read. So each result is rebuilt from the keys that its module returns, and each
value is checked."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict

from .text import clean, clean_line

Check = Callable[[Any], Any]

MAX_MESSAGE_LENGTH = 4000
MAX_LOG_LENGTH = 4000
MAX_NOTES = 100
MAX_SLOTS = 1000
MAX_TIMELINES = 10000
# As JSON. An observation holds some hundred settings and two configuration files.
MAX_OBSERVATION_BYTES = 4 * 1024 * 1024
MAX_PROOF_BYTES = 64 * 1024

_REFERENCE = r"[a-z0-9][a-z0-9._/-]{0,200}(?::[0-9]{1,5}/[a-z0-9][a-z0-9._/-]{0,200})?(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
_DIGEST = r"sha256:[0-9a-f]{64}"


class InvalidAnswer(Exception):
    """A value that none of the action's modules returns."""


def _show(value: Any) -> str:
    """Returns a value for a message, short and on one line."""
    text = clean_line(json.dumps(value, default=str), 100_000)
    return text if len(text) <= 80 else text[:77] + "..."


def _matching(pattern: str, expected: str) -> Check:
    compiled = re.compile(pattern)

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise InvalidAnswer("is %s, expected %s" % (_show(value), expected))
        return value

    return check


def _one_of(*values: Any) -> Check:
    def check(value: Any) -> Any:
        if not any(value is item or (isinstance(item, str) and value == item) for item in values):
            raise InvalidAnswer("is %s, expected one of %s" % (_show(value), ", ".join(_show(item) for item in values)))
        return value

    return check


def _number(minimum: int, maximum: int) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise InvalidAnswer("is %s, expected a whole number from %d to %d" % (_show(value), minimum, maximum))
        return value

    return check


def _text(limit: int) -> Check:
    return lambda value: None if value is None else clean(value, limit)


def _flag(value: Any) -> bool:
    return value is True


def _lines(max_count: int, limit: int) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, list) or len(value) > max_count:
            raise InvalidAnswer("is %s, expected a list of at most %d lines" % (_show(value), max_count))
        return [clean_line(item, limit) for item in value]

    return check


def _list(check: Check, max_count: int) -> Check:
    def check_all(value: Any) -> Any:
        if not isinstance(value, list) or len(value) > max_count:
            raise InvalidAnswer("is %s, expected a list of at most %d" % (_show(value), max_count))
        return [check(item) for item in value]

    return check_all


def _document(max_bytes: int) -> Check:
    """Checks the size only. The action checks each value (src/ansible/result.ts)."""

    def check(value: Any) -> Any:
        size = len(json.dumps(value, default=str))
        if not isinstance(value, dict) or size > max_bytes:
            raise InvalidAnswer("has %d bytes, expected an object of at most %d" % (size, max_bytes))
        return value

    return check


def _object(checks: Dict[str, Check]) -> Check:
    """Drops unknown keys."""

    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            raise InvalidAnswer("is %s, expected an object" % _show(value))
        return _validate(checks, value)

    return check


def _validate(checks: Dict[str, Check], value: Dict[str, Any]) -> Dict[str, Any]:
    valid = {}
    for key, check in checks.items():
        if key not in value:
            continue
        try:
            valid[key] = check(value[key])
        except InvalidAnswer as error:
            text = str(error)
            raise InvalidAnswer(("%s %s" if text.startswith(("is ", "has ")) else "%s.%s") % (key, text))
    return valid


check_image = _object(
    {
        "image": _matching(r"%s(?:@%s)?" % (_REFERENCE, _DIGEST), "an image reference such as postgres:17"),
        # The image's id if no registry has it.
        "digest": _matching(
            r"(?:%s@)?%s" % (_REFERENCE, _DIGEST), "an image by digest such as postgres@sha256:<64 hex digits>"
        ),
    }
)

# What each node tells the other during a switchover.
_SWITCHOVER_KEYS: Dict[str, Check] = {
    "role": _one_of("primary", "replica", None),
    "nonce": _matching(r"[0-9a-f]{32}", "32 hex digits"),
    "port": _number(1, 65535),
    # PostgreSQL manual, 26.2.6.1.
    "movable_slots": _list(_matching(r"[a-z0-9_]{1,63}", "the name of a slot"), MAX_SLOTS),
    "promoted": _one_of(True, False, None),
    "problem": _text(MAX_MESSAGE_LENGTH),
}

_TIMELINE = _number(1, 2**32 - 1)
_LSN = _matching("[0-9A-F]{1,8}/[0-9A-F]{1,8}", "a WAL position such as 0/3000148")

# What the primary tells a replica that takes WAL from the archive (catch_up.py).
_WAL_KEYS: Dict[str, Check] = {
    "wal": _object(
        {
            "size": _number(2**20, 2**30),
            "timeline": _TIMELINE,
            "ended": _list(_object({"timeline": _TIMELINE, "end": _LSN}), MAX_TIMELINES),
            "oldest": _matching("[0-9A-F]{16}", "16 hex digits"),
            "slots": _list(_object({"name": _matching(r"[a-z0-9_]{1,63}", "the name of a slot"), "start": _LSN}), MAX_SLOTS),
        }
    )
}

# Keys of every module, with those that Ansible adds when a module crashes.
_COMMON_KEYS: Dict[str, Check] = {
    "changed": _flag,
    "failed": _flag,
    "msg": _text(MAX_MESSAGE_LENGTH),
    "log": _text(MAX_LOG_LENGTH),
    "module_stderr": _text(MAX_LOG_LENGTH),
    "module_stdout": _text(MAX_LOG_LENGTH),
}

_MODULE_KEYS: Dict[str, Dict[str, Check]] = {
    "cluster_host": {"done": _lines(20, 100)},
    "cluster_grow": {"done": _lines(20, 100), "waiting": _text(200)},
    "cluster_observe": {"observation": _document(MAX_OBSERVATION_BYTES)},
    "cluster_proof": {"proof": _document(MAX_PROOF_BYTES)},
    "cluster_record": {"record": check_image},
    "cluster_postgres": {
        "notes": _lines(MAX_NOTES, 1000),
        # The work goes on without this call: the step is to be done again.
        "pending": _one_of(True, False),
        **_SWITCHOVER_KEYS,
        **_WAL_KEYS,
        "ansible_facts": _object(
            {
                "postgres_running_image": check_image,
                "postgres_pending": _one_of(True, False),
                **{"postgres_" + key: check for key, check in {**_SWITCHOVER_KEYS, **_WAL_KEYS}.items()},
            }
        ),
    },
}


def validate_answer(module: str, node: str, answer: Dict[str, Any]) -> Dict[str, Any]:
    """Returns the result of `module` on `node`, rebuilt from the keys that the module returns. Raises InvalidAnswer, with a
    message for people, if the module returns no such value."""
    try:
        valid = _validate({**_COMMON_KEYS, **_MODULE_KEYS[module]}, answer)
        for name in ("observation", "proof"):
            claimed = valid.get(name, {}).get("name", node)
            if claimed != node:
                raise InvalidAnswer("%s.name is %s, expected %s" % (name, _show(claimed), node))
    except InvalidAnswer as error:
        raise InvalidAnswer(
            "%s sent an answer that this action's modules never send: %s. Nothing of the answer was used. Somebody may have "
            "changed the node: find out who can become root there before you run this again" % (node, error)
        )
    return valid
