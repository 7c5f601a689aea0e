"""Paths and names on a node."""

from __future__ import annotations

# The mount point is the parent of PGDATA: initdb refuses a directory that holds lost+found (PostgreSQL manual, 18.2.1
# "Use of Secondary File Systems").
ROOT = "/var/lib/postgresql-cluster"
DATA = ROOT + "/data"
# An initialisation or a clone works here; the finished directory is renamed to DATA.
PARTIAL = ROOT + "/data.partial"
# In a data directory: its server was a primary when it was stopped, so it may hold rows that no other node has.
FORMER_PRIMARY = "postgres-cluster.former-primary"
# Prefix of a data directory that a clone moved aside, followed by the time.
OLD = ROOT + "/data.old-"
ETC = ROOT + "/etc"
RECORD = ROOT + "/record.json"
# Distinguishes the cluster's volume from any other, and a mounted volume from an empty mount point.
MARKER = ROOT + "/volume.json"

# The same directories inside the container. PostgreSQL 18's image moved PGDATA and its volume, so this path is set
# explicitly and is the same for every version.
CONTAINER_DATA = DATA
CONTAINER_ETC = "/etc/postgresql-cluster"

# Where the image expects the socket. Set for server and client: their built-in defaults differ between builds.
SOCKETS = "/var/run/postgresql"

CONF = "postgresql.conf"
HBA = "pg_hba.conf"
PASSFILE = "replication.pass"
# The file in the data directory that ALTER SYSTEM writes.
AUTO_CONF = "postgresql.auto.conf"

# Declares what this host cannot do, e.g. {"oom_score_adj": false}. Written when the host was built.
LIMITS = "/etc/postgres-cluster/host-limits.json"

REPLICATION_USER = "replicator"
SUPERUSER = "postgres"


def container_name(cluster: str) -> str:
    """Returns the name of the PostgreSQL container on a cluster's node."""
    return "postgres-" + cluster


def worker_name(cluster: str) -> str:
    """Returns the name of the container that initialises or clones: always the same, so that a stale one is found."""
    return "postgres-" + cluster + "-clone"
