"""What a node reports about the backups of its cluster: BackupObservation (src/cluster/observation.ts)."""

from __future__ import annotations

import os
from typing import Any, Dict, Optional

from .archive_push import is_archiving, read_dropped
from .backup_layout import BACKREST_CONF
from .backup_state import observe_backup_runs, read_wal_bytes
from .layout import ETC
from .repository import find_start, keep_own, read_repository


def observe_backup(cluster: str, postgres: Optional[Dict[str, Any]], archived: Optional[int]) -> Optional[Dict[str, Any]]:
    """Returns the observation; None except on a running primary that archives into a repository.

    `postgres`: the observation of the server; `archived`: when its archive_command last succeeded (epoch).
    """
    if postgres is None or postgres["inRecovery"] or not is_archiving():
        return None
    repository = read_repository(cluster)
    backups = keep_own(repository["backups"])
    # A full backup may have ended the gap without a run of the backup program since.
    dropped = read_dropped(find_start(backups))
    if dropped is not None and dropped["since"] == 0:
        # What a backup needs is archived before it ends.
        dropped["since"] = max((item["ended"] for item in backups), default=0)
    # Before, the command succeeded without archiving anything.
    begun = os.stat("%s/%s" % (ETC, BACKREST_CONF)).st_mtime
    newest = repository["backups"][-1]["label"] if repository["backups"] else None
    return {
        **repository,
        "backups": [_describe(item) for item in backups],
        "abandoned": [_describe(item) for item in repository["backups"] if item not in backups],
        "archivedAt": archived if archived is not None and archived >= int(begun) else None,
        "dropped": None if dropped is None else {"files": dropped["files"], "since": dropped["since"]},
        **observe_backup_runs(cluster),
        "walBytes": read_wal_bytes(cluster, newest),
    }


def _describe(item: Dict[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in item.items() if key not in ("startWal", "stop")}
