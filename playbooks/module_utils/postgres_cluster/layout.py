"""Where things lie on a node."""

from __future__ import annotations

# Trap 28: the mount point is the parent. PGDATA is a directory in it, beside lost+found.
ROOT = "/var/lib/postgresql-cluster"
DATA = ROOT + "/data"
# What an initialisation or a clone works in until it is whole; then it is renamed to DATA.
PARTIAL = ROOT + "/data.partial"
# In a data directory: it was a primary's when its server was stopped, and may hold rows that nobody else has.
FORMER_PRIMARY = "postgres-cluster.former-primary"
# Prefix of a data directory that a clone moved aside; the time follows.
OLD = ROOT + "/data.old-"
ETC = ROOT + "/etc"
RECORD = ROOT + "/record.json"
# Tells the cluster's volume from any other one, and a mounted one from an empty mount point.
MARKER = ROOT + "/volume.json"

# The same places as the container sees them. PostgreSQL 18's image moved PGDATA, so the path is our own
# (trap 7) and the same in every version.
CONTAINER_DATA = DATA
CONTAINER_ETC = "/etc/postgresql-cluster"

# Where the image expects the socket. Said to server and client, as builds differ in what they assume.
SOCKETS = "/var/run/postgresql"

CONF = "postgresql.conf"
HBA = "pg_hba.conf"
PASSFILE = "replication.pass"
# What ALTER SYSTEM writes into the data directory.
AUTO_CONF = "postgresql.auto.conf"

# Written by whoever built the host: what it cannot do, e.g. {"oom_score_adj": false}.
LIMITS = "/etc/postgres-cluster/host-limits.json"

REPLICATION_USER = "replicator"
SUPERUSER = "postgres"


def container_name(cluster: str) -> str:
    """The PostgreSQL container of a cluster's node."""
    return "postgres-" + cluster


def worker_name(cluster: str) -> str:
    """The container that initialises or clones; one name, so that a stale one is found."""
    return "postgres-" + cluster + "-clone"
