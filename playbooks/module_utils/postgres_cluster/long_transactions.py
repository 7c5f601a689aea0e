"""Refuses a switchover that would cut off long transactions."""

from __future__ import annotations

from .command import Problem
from .psql import Session
from .spec import Spec

# The switchover is refused while an older transaction is open, as it would be cut off.
TRANSACTION_SECONDS = 60

FIND_LONG_TRANSACTIONS = """
SELECT coalesce(json_agg(json_build_object(
  'pid', pid, 'seconds', extract(epoch FROM clock_timestamp() - xact_start)::bigint,
  'application', application_name, 'user', usename) ORDER BY xact_start), '[]')
FROM pg_stat_activity
WHERE xact_start < clock_timestamp() - make_interval(secs => %d)
  AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def refuse_long_transactions(session: Session, spec: Spec) -> None:
    """Raises Problem if the primary has a transaction that is older than TRANSACTION_SECONDS."""
    found = session.ask(FIND_LONG_TRANSACTIONS % TRANSACTION_SECONDS)
    if not found:
        return
    shown = ", ".join(
        "process %d of %s (%s), %d s" % (item["pid"], item["user"], item["application"] or "no name", item["seconds"])
        for item in found[:5]
    )
    raise Problem(
        "%s has transactions open for more than %d s, which a switchover would cut off: %s. Let them end or end "
        "them with SELECT pg_terminate_backend(<process>), then run again; nothing was stopped"
        % (spec.node, TRANSACTION_SECONDS, shown)
    )
