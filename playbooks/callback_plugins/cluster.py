"""Logs one line per node and task, and writes the results for the action.

The results go to the file that the environment variable CLUSTER_RESULT names, as JSON, mode 0600:
{"observations": [NodeObservation], "proof": [line], "stats": {node: {"ok", "changed", "failures", "unreachable"}},
 "changes": [{"node", "step", "task"}], "failures": [{"node", "step", "task", "time", "message", "log"}],
 "notes": [{"node", "note"}], "pending": [{"node", "step"}]}
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Dict, List, Tuple

from ansible import constants as C
from ansible.plugins.callback import CallbackBase

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from cluster_runner.text import clean, clean_line, drop_traceback_note  # noqa: E402

DOCUMENTATION = """
name: cluster
type: stdout
short_description: Lines for people, JSON for the action
description: See the docstring of this file.
"""


class CallbackModule(CallbackBase):
    """Collects results during the run and writes them at its end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "cluster"

    def __init__(self) -> None:
        super().__init__()
        self._started: Dict[Tuple[str, str], float] = {}
        self._observations: List[Any] = []
        self._proof: List[Any] = []
        self._changes: List[Dict[str, str]] = []
        self._failures: List[Dict[str, Any]] = []
        self._notes: List[Dict[str, str]] = []
        self._pending: List[Dict[str, str]] = []

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._started[(host.get_name(), task._uuid)] = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        node, task, data = _unpack(result)
        self._collect(node, data)
        if task.action in ("include_role", "include_tasks") or data.get("_ansible_no_log"):
            return
        changed = bool(data.get("changed"))
        if changed:
            self._changes.append({"node": node, "step": _name_step(task), "task": _name_task(task)})
        done = data.get("done")
        detail = " (%s)" % ", ".join(clean_line(item) for item in done) if done else ""
        pending = data.get("pending") is True
        if pending:
            self._pending.append({"node": node, "step": _name_step(task)})
        word = "goes on" if pending else "changed" if changed else "ok"
        self._print_result(result, word + detail, C.COLOR_CHANGED if changed else C.COLOR_OK)
        if isinstance(data.get("proof"), dict):
            self._print_detail(_describe_proof(data["proof"]), C.COLOR_OK)
        for note in data.get("notes") or []:
            self._print_detail("note: %s" % note, C.COLOR_WARN)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        node, task, data = _unpack(result)
        self._collect(node, data)
        if ignore_errors:
            return
        self._fail(result, "failed", data.get("msg") or data.get("module_stderr") or "no reason given")

    def v2_runner_retry(self, result: Any) -> None:
        """Says what a task that tries again waits for."""
        waiting = _unpack(result)[2].get("waiting")
        if isinstance(waiting, str):
            self._print_result(result, clean_line(waiting), C.COLOR_WARN)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        data = _unpack(result)[2]
        self._fail(result, "unreachable", clean_line(drop_traceback_note(data.get("msg", ""))))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        path = os.environ.get("CLUSTER_RESULT")
        if not path:
            return
        summary = {}
        for node in sorted(stats.processed):
            counts = stats.summarize(node)
            summary[node] = {key: counts[key] for key in ("ok", "changed", "failures", "unreachable")}
        document = {
            "observations": sorted(self._observations, key=lambda item: item["name"]),
            "proof": sorted(self._proof, key=lambda item: item["name"]),
            "stats": summary,
            "changes": self._changes,
            "failures": self._failures,
            "notes": self._notes,
            "pending": self._pending,
        }
        _write_private(path, json.dumps(document))

    def _collect(self, node: str, data: Dict[str, Any]) -> None:
        if isinstance(data.get("observation"), dict):
            self._observations.append(data["observation"])
        if isinstance(data.get("proof"), dict):
            self._proof.append(data["proof"])
        self._notes += [{"node": node, "note": note} for note in data.get("notes") or []]

    def _fail(self, result: Any, word: str, message: Any) -> None:
        node, task, data = _unpack(result)
        # A crashed module reports its traceback here.
        texts = [data.get("log"), data.get("module_stderr"), data.get("exception")]
        log = next((text for text in (drop_traceback_note(text or "").strip() for text in texts) if text), "")
        log = clean(log, 4000).strip()
        message = clean(drop_traceback_note(message), 4000)
        where = {"node": node, "step": _name_step(task), "task": _name_task(task)}
        self._failures.append({**where, "time": int(time.time()), "message": message, "log": log})
        self._print_result(result, word, C.COLOR_ERROR)
        for line in [*message.splitlines(), *log.splitlines()]:
            self._print_detail(line, C.COLOR_ERROR)

    def _print_detail(self, text: str, color: str) -> None:
        """Prints an indented line below a task's line. The text may come from a node; it stays on one line."""
        self._display.display("        " + clean(text, 4000).replace("\n", " "), color=color)

    def _print_result(self, result: Any, word: str, color: str) -> None:
        node, task, _ = _unpack(result)
        started = self._started.get((node, task._uuid))
        seconds = "" if started is None else "  %.1f s" % (time.monotonic() - started)
        self._display.display("%-8s %-36s %s%s" % (node, _name_task(task), word, seconds), color=color)


def _unpack(result: Any) -> Tuple[str, Any, Dict[str, Any]]:
    """Returns (node, task, result). ansible-core before 2.19 has the underscored names."""
    host = result.host if hasattr(result, "host") else result._host
    task = result.task if hasattr(result, "task") else result._task
    data = result.result if hasattr(result, "result") else result._result
    return host.get_name(), task, data


def _name_task(task: Any) -> str:
    return task.name or task.action


def _name_step(task: Any) -> str:
    """Returns the kind of step: the name of the task file in a role with several, else the role's name."""
    path = (task.get_path() or "").rsplit(":", 1)[0]
    name = os.path.splitext(os.path.basename(path))[0]
    role = os.path.basename(os.path.dirname(os.path.dirname(path)))
    return {"host": "prepare"}.get(role, role) if name == "main" else name


def _describe_proof(line: Dict[str, Any]) -> str:
    if line["role"] == "primary":
        return "primary, timeline %s, at %s" % (line["timeline"], line["lsn"])
    return "replica, %s over slot %s, at %s, %s bytes and %s s behind, value read: %s" % (
        line["state"],
        line["slot"],
        line["lsn"],
        line["lagBytes"],
        line["lagSeconds"],
        "yes" if line["tokenRead"] else "no",
    )


def _write_private(path: str, text: str) -> None:
    temporary = path + ".new"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    os.rename(temporary, path)
