"""What a module may answer. Root on a node decides what comes back from it, and Ansible acts on some of it: facts, for
example, become variables that the other nodes' tasks read. So an answer is built anew from the keys that the module has,
and each value is held to what it can be."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict

from .text import clean, clean_line

Check = Callable[[Any], Any]

MESSAGE_LENGTH = 4000
LOG_LENGTH = 4000
NOTES = 100
SLOTS = 1000
# Bytes of JSON. An observation holds some hundred settings and two configuration files.
OBSERVATION_BYTES = 4 * 1024 * 1024
PROOF_BYTES = 64 * 1024

_REFERENCE = r"[a-z0-9][a-z0-9._/-]{0,200}(?::[0-9]{1,5}/[a-z0-9][a-z0-9._/-]{0,200})?(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
_DIGEST = r"sha256:[0-9a-f]{64}"


class Misfit(Exception):
    """A value that no module of ours answers."""


def _show(value: Any) -> str:
    """A value for a message, short and on one line."""
    text = clean_line(json.dumps(value, default=str), 100_000)
    return text if len(text) <= 80 else text[:77] + "..."


def _matching(pattern: str, what: str) -> Check:
    compiled = re.compile(pattern)

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise Misfit("is %s, expected %s" % (_show(value), what))
        return value

    return check


def _one_of(*values: Any) -> Check:
    def check(value: Any) -> Any:
        if not any(value is item or (isinstance(item, str) and value == item) for item in values):
            raise Misfit("is %s, expected one of %s" % (_show(value), ", ".join(_show(item) for item in values)))
        return value

    return check


def _number(least: int, most: int) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Misfit("is %s, expected a whole number from %d to %d" % (_show(value), least, most))
        return value

    return check


def _text(limit: int) -> Check:
    return lambda value: None if value is None else clean(value, limit)


def _flag(value: Any) -> bool:
    return value is True


def _lines(most: int, limit: int) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, list) or len(value) > most:
            raise Misfit("is %s, expected a list of at most %d lines" % (_show(value), most))
        return [clean_line(item, limit) for item in value]

    return check


def _list(check: Check, most: int) -> Check:
    def hold(value: Any) -> Any:
        if not isinstance(value, list) or len(value) > most:
            raise Misfit("is %s, expected a list of at most %d" % (_show(value), most))
        return [check(item) for item in value]

    return hold


def _document(most: int) -> Check:
    """Only its size: the action holds each of its values to a pattern (src/ansible/result.ts)."""

    def check(value: Any) -> Any:
        size = len(json.dumps(value, default=str))
        if not isinstance(value, dict) or size > most:
            raise Misfit("has %d bytes, expected an object of at most %d" % (size, most))
        return value

    return check


def _object(checks: Dict[str, Check]) -> Check:
    """Keys that nobody knows are left out."""

    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Misfit("is %s, expected an object" % _show(value))
        return _hold(checks, value)

    return check


def _hold(checks: Dict[str, Check], value: Dict[str, Any]) -> Dict[str, Any]:
    held = {}
    for key, check in checks.items():
        if key not in value:
            continue
        try:
            held[key] = check(value[key])
        except Misfit as misfit:
            words = str(misfit)
            raise Misfit(("%s %s" if words.startswith(("is ", "has ")) else "%s.%s") % (key, words))
    return held


check_image = _object(
    {
        "image": _matching(r"%s(?:@%s)?" % (_REFERENCE, _DIGEST), "an image reference such as postgres:17"),
        # Its id, where no registry knows it.
        "digest": _matching(
            r"(?:%s@)?%s" % (_REFERENCE, _DIGEST), "an image by digest such as postgres@sha256:<64 hex digits>"
        ),
    }
)

# What a step of a switchover tells the other node.
_STEP: Dict[str, Check] = {
    "role": _one_of("primary", "replica", None),
    "nonce": _matching(r"[0-9a-f]{32}", "32 hex digits"),
    "port": _number(1, 65535),
    # PostgreSQL manual, 26.2.6.1.
    "movable_slots": _list(_matching(r"[a-z0-9_]{1,63}", "the name of a slot"), SLOTS),
    "promoted": _one_of(True, False, None),
    "problem": _text(MESSAGE_LENGTH),
}

# What Ansible says of a module that broke is among them.
_ANY: Dict[str, Check] = {
    "changed": _flag,
    "failed": _flag,
    "msg": _text(MESSAGE_LENGTH),
    "log": _text(LOG_LENGTH),
    "module_stderr": _text(LOG_LENGTH),
    "module_stdout": _text(LOG_LENGTH),
}

_MODULES: Dict[str, Dict[str, Check]] = {
    "cluster_host": {"done": _lines(20, 100)},
    "cluster_observe": {"observation": _document(OBSERVATION_BYTES)},
    "cluster_proof": {"proof": _document(PROOF_BYTES)},
    "cluster_record": {"record": check_image},
    "cluster_postgres": {
        "notes": _lines(NOTES, 1000),
        **_STEP,
        "ansible_facts": _object(
            {"postgres_running_image": check_image, **{"postgres_" + key: check for key, check in _STEP.items()}}
        ),
    },
}


def hold_answer(module: str, node: str, answer: Dict[str, Any]) -> Dict[str, Any]:
    """Returns what `node` answered to `module`, made anew from what that module may answer. Raises Misfit, with words for
    people, when a value is not one that the module answers."""
    try:
        held = _hold({**_ANY, **_MODULES[module]}, answer)
        for name in ("observation", "proof"):
            said = held.get(name, {}).get("name", node)
            if said != node:
                raise Misfit("%s.name is %s, expected %s" % (name, _show(said), node))
    except Misfit as misfit:
        raise Misfit(
            "%s answered what no node of this action does: %s. Nothing of the answer was used. Somebody may have changed "
            "the node: find out who can become root there before you run this again" % (node, misfit)
        )
    return held
