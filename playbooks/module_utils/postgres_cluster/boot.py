"""Installs the guard, which a node runs at every boot after it mounts its volume and before it starts Docker."""

from __future__ import annotations

from types import ModuleType
from typing import Dict

from . import files, guard, layout, peer, scram, signals, timeline
from .files import make_directory, read_text, write_text

FOLDER = "/usr/local/lib/postgres-cluster"
PACKAGE = FOLDER + "/postgres_cluster"
UNIT_NAME = "postgres-cluster-guard.service"
UNIT = "/etc/systemd/system/" + UNIT_NAME

# RemainAfterExit: systemd runs the unit once per boot, not when Docker alone restarts.
UNIT_TEXT = """# A former primary must not start beside the new one. The node asks its peers once per boot.
[Unit]
Description=Guard against a second PostgreSQL primary
RequiresMountsFor=%s
Wants=network-online.target
After=network-online.target
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
WorkingDirectory=%s
ExecStart=/usr/bin/python3 -B -m postgres_cluster.guard
TimeoutStartSec=150
""" % (layout.ROOT, FOLDER)


def is_guard_current() -> bool:
    """Whether the installed guard is up to date."""
    return all(read_text(path) == text for path, text in list_files().items())


def ensure_guard() -> bool:
    """Writes the guard and its unit. Returns whether anything changed; then `systemctl daemon-reload` is required."""
    for folder in (FOLDER, PACKAGE):
        make_directory(folder)
    return any([write_text(path, text) for path, text in list_files().items()])


def list_files() -> Dict[str, str]:
    """Returns {path: text} of all files of the guard."""
    modules = (files, guard, layout, peer, scram, signals, timeline)
    texts = {"%s/%s.py" % (PACKAGE, module.__name__.rsplit(".", 1)[-1]): read_source(module) for module in modules}
    return {PACKAGE + "/__init__.py": "", **texts, UNIT: UNIT_TEXT}


def read_source(module: ModuleType) -> str:
    """Returns the source of a module. On a node it is in the archive that Ansible sent."""
    return module.__loader__.get_source(module.__name__)  # type: ignore[union-attr]
