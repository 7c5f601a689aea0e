"""Verifies what a node has restored: checks tables and indexes, then looks for what the restore must have brought back.

pg_amcheck reads tables with their TOAST, materialised views, sequences and B-tree indexes of every database that allows
connections. It reads no other kinds of indexes, and does not compare rows with indexes (--heapallindexed).
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, List, Optional

from .canary import list_canary
from .clone import WATCHED_SECONDS, await_copy
from .command import Problem, run
from .files import read_json
from .layout import SOCKETS
from .proof import READ, has_table
from .psql import OWN_DATABASE, Session, ask_once, read_major, render_options
from .restore import RESTORED, is_in_place
from .restored_order import require_order
from .server import read_role
from .spec import Outcome, Spec
from .stages import DAMAGE, MAX_NAMES
from .verification import read_verified, write_verified
from .volume import require_mounted
from .work import CUT, Work, end_work, find_work, is_same, start_work

# The methods of Verification (src/cluster/rehearsal.ts), named after their programs.
AMCHECK, DUMP = "pg_amcheck", "pg_dumpall"

MAX_JOBS = 8
# How long the program has to end after SIGTERM, before it is killed.
END_SECONDS = 20

# Runs in the server's container, where the socket is. `docker exec` forwards no signal, and a client that is killed leaves the
# program running: so it lives as long as the client keeps the input open. pg_amcheck ends with 2 if it found damage.
SCRIPT = """
exec 3<&0
"$@" </dev/null 3<&- 1>&2 &
child=$!
(
  while read -r line <&3; do :; done
  kill -TERM "$child"
  sleep END_SECONDS
  kill -KILL "$child"
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$child"
code=$?
kill "$watcher" 2>/dev/null
if [ "$1" = pg_amcheck ] && [ "$code" = 2 ]; then
  echo "DAMAGE" >&2
  code=0
fi
exit "$code"
""".replace("END_SECONDS", str(END_SECONDS)).replace("DAMAGE", DAMAGE)

HAS_AMCHECK = "SELECT to_json(EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck'))"
# Those that pg_amcheck --all reads: all that allow connections, so not template0 (compile_database_list in pg_amcheck.c).
DATABASES = "SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database WHERE datallowconn"
SIZE = "SELECT to_json(coalesce(sum(pg_database_size(oid)), 0)::bigint) FROM pg_database"
# An older amcheck lacks functions, and one in a schema where others may create functions could be led to call those. The
# database is a rehearsal's: pg_amcheck installs the image's own in pg_catalog.
DROP_AMCHECK = """
SELECT 'DROP EXTENSION amcheck CASCADE' FROM pg_extension WHERE extname = 'amcheck' \\gexec
SELECT 'true'
"""


def verify(spec: Spec, canary: Dict[str, Any]) -> Outcome:
    """Verifies the restored primary, or goes on with a verification that runs. `canary`: Canary (src/cluster/rehearsal.ts).
    Once that has succeeded, nothing is done again: the proof that follows writes its own value.

    Raises Problem with everything that is wrong, Pending if the work goes on after `spec.deadline`.
    """
    require_mounted(spec.cluster)
    verified = read_verified(canary["token"])
    if verified is not None:
        return Outcome(False, notes=verified["notes"])
    restored = read_json(RESTORED)
    if not isinstance(restored, dict) or not is_in_place(restored):
        raise Problem("%s holds no data from backups, so there is nothing to verify" % spec.node)
    if read_role(spec) != "primary":
        raise Problem("PostgreSQL on %s does not run as the primary, so what it restored cannot be verified. Run again" % spec.node)
    notes: List[str] = []
    parameters = {"source": restored["parameters"]["source"], "token": canary["token"]}
    found = find_work(spec.cluster)
    if found is not None and (found.kind != "verify" or not is_same(found.parameters, parameters)):
        end_work(spec.cluster)
        found = None
    if found is not None and found.state == "failed":
        end_work(spec.cluster)
        if found.problem != CUT and time.time() <= found.ended + WATCHED_SECONDS:
            raise Problem(found.problem or "", found.log)
        notes = ["an earlier verification did not end (%s), so it was started again" % found.problem]
        found = None
    if found is None:
        start(spec, parameters)
    found = await_copy(spec)
    end_work(spec.cluster)
    if found.state == "failed":
        raise Problem(found.problem or "", found.log)
    problems = describe_damage(spec, restored, found)
    method, relations = found.found.get("method"), found.found.get("relations") or 0
    if relations == 0:
        problems.append(
            "%s read no table and no index of what %s restored, so nothing is verified. Look at the log for the reason" % (method, spec.node)
        )
    try:
        with Session(spec.container) as session:
            problems += compare(spec, session, canary)
            databases, size = session.ask(DATABASES), session.ask(SIZE)
        problems += require_order(spec, read_major())
    except Problem as problem:
        # What is damaged may be a catalog.
        problems.append("%s: %s" % (problem.message, problem.log) if problem.log else problem.message)
    if problems:
        raise Problem("\n".join(problems), found.log)
    verification = {
        "backup": restored["label"],
        "restoreSeconds": restored.get("seconds") or 0,
        "verifySeconds": max(0, found.ended - found.started),
        "lastCommit": restored.get("lastCommit"),
        "databases": len(databases),
        "relations": relations,
        "method": method,
        "bytes": size,
    }
    if method != AMCHECK:
        notes.append(
            "the image %s has no pg_amcheck with its extension amcheck, so the tables were only read, with pg_dumpall: no damage "
            "was looked for, and no index was read" % spec.image
        )
    write_verified(canary["token"], verification, notes)
    return Outcome(True, notes=notes)


def has_amcheck(spec: Spec) -> bool:
    """Whether the image has the program and its extension, as the official ones do."""
    found = run(["docker", "exec", spec.container, "sh", "-c", "command -v pg_amcheck"], check=False, timeout=60)
    return found.returncode == 0 and ask_once(spec.container, HAS_AMCHECK) is True


def start(spec: Spec, parameters: Dict[str, Any]) -> None:
    """Starts the unit."""
    common = ["--host=" + SOCKETS, "--username=postgres", "--no-password"]
    # What follows asks the worker which it was.
    method = AMCHECK if has_amcheck(spec) else DUMP
    if method == AMCHECK:
        for database in ask_once(spec.container, DATABASES) or []:
            ask_once(spec.container, DROP_AMCHECK, timeout=300, database=database)
        jobs = max(1, min(os.cpu_count() or 1, MAX_JOBS))
        program = [method, "--all", "--install-missing", "--jobs=%d" % jobs, "--progress", *common]
    else:
        program = [method, "--verbose", "--no-sync", "--file=/dev/null", *common]
    env = ["-e", "LC_ALL=C", "-e", "PGAPPNAME=postgres-cluster", "-e", "PGOPTIONS=" + render_options(read_major())]
    command = ["docker", "exec", "-i", *env, spec.container, "sh", "-c", SCRIPT, "verify", *program]
    stages = [{"kind": "verification", "parser": "verification", "method": method, "attempts": [command]}]
    failure = "%s cannot read what it restored" % spec.node
    start_work(spec.cluster, None, stages, parameters, spec.step or "verify", failure, True, "verify")


def describe_damage(spec: Spec, restored: Dict[str, Any], found: Work) -> List[str]:
    """Returns a sentence on damaged relations; [] without any."""
    if not found.found.get("isDamaged"):
        return []
    damage = found.found.get("damage") or []
    shown = "; ".join("%s (%s)" % (one["relation"], one["message"]) for one in damage)
    more = " and others" if len(damage) >= MAX_NAMES else ""
    return [
        "pg_amcheck found damage in what %s restored from backup %s: %s%s. Run pg_amcheck on the cluster itself: what is damaged "
        "there as well has to be repaired there; if nothing is, make a full backup (`command: backup`, `backup-type: full`) and "
        "rehearse again" % (spec.node, restored["label"], shown or "see the log", more)
    ]


def compare(spec: Spec, session: Session, canary: Dict[str, Any]) -> List[str]:
    """Returns a sentence on everything that differs from the canary; [] without a difference."""
    differences = []
    token = read_token(session)
    if token is None:
        differences.append("there is no value of a proof, expected %s" % canary["token"])
    elif token != canary["token"]:
        differences.append("the value of the latest proof is %s, expected %s" % (json.dumps(token)[:80], canary["token"]))
    found = list_canary(session)
    for name in ("roles", "databases"):
        if found[name] != canary[name]:
            differences.append("there are %d %s, expected %d" % (found[name], name, canary[name]))
    if found["names"] != canary["names"] and len(differences) == (0 if token == canary["token"] else 1):
        differences.append("there are as many roles and databases as expected, and some have other names")
    if not differences:
        return []
    return [
        "what %s restored is not what the cluster was at %s: %s. If roles or databases were created, renamed or dropped within "
        "that second, rehearse again. Otherwise the archive lacks WAL, or holds another cluster's: make a full backup (`command: "
        "backup`, `backup-type: full`) and rehearse again" % (spec.node, canary["written"], "; ".join(differences))
    ]


def read_token(session: Session) -> Optional[str]:
    """Returns the value that the latest proof of the source has written; None if there is none."""
    if session.database != OWN_DATABASE or not has_table(session):
        return None
    tokens = session.ask(READ)
    return str(tokens[0]) if tokens else None
