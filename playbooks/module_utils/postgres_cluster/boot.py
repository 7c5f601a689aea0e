"""What a node does at every boot, between the mount of its volume and Docker: it runs the guard."""

from __future__ import annotations

from types import ModuleType
from typing import Dict

from . import files, guard, layout, peer, scram, signals, timeline
from .files import make_directory, read_text, write_text

FOLDER = "/usr/local/lib/postgres-cluster"
PACKAGE = FOLDER + "/postgres_cluster"
UNIT_NAME = "postgres-cluster-guard.service"
UNIT = "/etc/systemd/system/" + UNIT_NAME

# Of a oneshot that remains, systemd remembers until the next boot that it ran: a restart of Docker alone asks nobody.
UNIT_TEXT = """# A former primary must not come up beside the new one. It asks its peers, once a boot.
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
    """Whether the node has the guard as it is today."""
    return all(read_text(path) == text for path, text in list_files().items())


def ensure_guard() -> bool:
    """Writes the guard and its unit; gives whether anything changed. systemd has yet to reread its units then."""
    for folder in (FOLDER, PACKAGE):
        make_directory(folder)
    return any([write_text(path, text) for path, text in list_files().items()])


def list_files() -> Dict[str, str]:
    """{path: text} of all that the guard consists of."""
    modules = (files, guard, layout, peer, scram, signals, timeline)
    texts = {"%s/%s.py" % (PACKAGE, module.__name__.rsplit(".", 1)[-1]): _read_source(module) for module in modules}
    return {PACKAGE + "/__init__.py": "", **texts, UNIT: UNIT_TEXT}


def _read_source(module: ModuleType) -> str:
    """The module's own text; on a node it lies in the archive that Ansible sent."""
    return module.__loader__.get_source(module.__name__)  # type: ignore[union-attr]
