"""SQL on this node's server, through psql in its container and over its socket, where no password is asked.

SQL goes in on stdin, so that nothing of it stands in a process list.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any, List, Optional

from .command import Problem, run
from .layout import SOCKETS

END = "end of answer"
# Written into every session that sets passwords: neither verifiers nor their statement reach the server's log.
QUIET = (
    "SET client_min_messages = error; SET log_statement = 'none'; SET log_min_duration_statement = -1; "
    "SET log_min_error_statement = panic; "
    # A cluster made synchronous must not wait here for replicas that are yet to come.
    "SET synchronous_commit = local"
)

# What the team limits its clients to must not end a checkpoint, or a session that waits.
OPTIONS = (
    "-c statement_timeout=0 -c lock_timeout=0"
    " -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0"
)


def psql_arguments(container: str) -> List[str]:
    """The command that reads SQL and writes bare rows."""
    where = ["-h", SOCKETS, "-U", "postgres", "-d", "postgres"]
    psql = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *where]
    env = ["-e", "PGAPPNAME=postgres-cluster", "-e", "PGOPTIONS=" + OPTIONS]
    return ["docker", "exec", "-i", *env, container, *psql]


def ask_once(container: str, sql: str, timeout: float = 20) -> Any:
    """The JSON document that one statement gives, or None when the server does not answer."""
    result = run(psql_arguments(container), stdin=sql, timeout=timeout, check=False)
    # 2: no connection (psql(1), "Exit Status"); 126 and 127: no program to start; 1: Docker could not exec.
    if result.returncode != 0:
        if result.returncode == 3:
            raise Problem("the server refused a question", result.stderr)
        return None
    return json.loads(result.stdout)


class Session:
    """One connection for several statements; use as a context manager."""

    def __init__(self, container: str, preamble: Optional[str] = QUIET) -> None:
        self._container = container
        self._process = subprocess.Popen(
            psql_arguments(container),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        if preamble:
            self.execute(preamble)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def execute(self, sql: str) -> List[str]:
        """Runs statements and gives the rows they return, one text each. Raises Problem when one fails."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        rows: List[str] = []
        try:
            process.stdin.write("%s;\n\\echo %s\n" % (sql, END))
            process.stdin.flush()
        except BrokenPipeError:
            raise Problem("psql in %s ended early" % self._container, process.stderr.read())
        for line in process.stdout:
            if line.rstrip("\n") == END:
                return rows
            rows.append(line.rstrip("\n"))
        raise Problem("the server refused a statement", process.stderr.read())

    def ask(self, sql: str) -> Any:
        """The JSON document that one statement gives."""
        return json.loads("\n".join(self.execute(sql)))


def quote(text: str) -> str:
    """A text as an SQL literal (PostgreSQL manual, 4.1.2.1 and 4.1.2.2)."""
    escaped = text.replace("'", "''")
    return "E'%s'" % escaped.replace("\\", "\\\\") if "\\" in text else "'%s'" % escaped
