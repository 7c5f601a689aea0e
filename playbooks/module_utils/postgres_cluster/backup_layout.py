"""Paths of archiving and backups on a node. Not in layout.py: that is a part of the guard, which must not change on existing
nodes (boot.py)."""

from __future__ import annotations

from .layout import ROOT

# pgBackRest with the libraries that it needs, so that it runs in any image; empty in a cluster without backups. The same
# path inside the container.
TOOLS = "/opt/pgbackrest"
# Which WAL is archived, as pgBackRest's processes tell each other. On the data volume, as it belongs to the data.
SPOOL = ROOT + "/pgbackrest-spool"
CONTAINER_SPOOL = "/var/spool/pgbackrest"
# In ETC. Where backups and WAL are kept. WAL is archived while this file exists.
BACKREST_CONF = "pgbackrest.conf"
# In ETC. When backups are due.
BACKUP_JSON = "backup.json"
