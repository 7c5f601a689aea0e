"""SQL on this node's server, through psql in its container and over its socket, where no password is required.

SQL goes in on stdin, so that it appears in no process list. Sessions use the action's own database: people may lock or
rename any other, or put objects into it.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any, Dict, List, Optional

from .command import Problem, run
from .files import read_text
from .layout import DATA, SOCKETS

END = "end of answer"
# Created from template0, so without what people put into template1, and open only to superusers on the socket.
OWN_DATABASE = "postgres_cluster"
# The others are used while the first does not exist: in a cluster of an earlier version, or on a replica that has yet
# to replay it.
DATABASES = (OWN_DATABASE, "postgres", "template1")
CREATE_DATABASE = "CREATE DATABASE %s TEMPLATE template0" % OWN_DATABASE
CLOSE_DATABASE = "REVOKE ALL ON DATABASE %s FROM PUBLIC" % OWN_DATABASE
FIND_DATABASE = """
SELECT coalesce((
  SELECT json_build_object(
    'owner', pg_get_userbyid(datdba), 'ours', datdba = 10, 'open', has_database_privilege('public', oid, 'CONNECT'))
  FROM pg_database WHERE datname = '%s'), 'null')
""" % OWN_DATABASE
# Run first in every session: neither password verifiers nor the statements that set them reach the server's log.
QUIET = (
    "SET client_min_messages = error; SET log_statement = 'none'; SET log_min_duration_statement = -1; "
    "SET log_min_error_statement = panic; "
    # A synchronous cluster must not wait here for replicas that do not exist yet.
    "SET synchronous_commit = local"
)

# Settings of every session here, whatever the configuration, ALTER DATABASE and ALTER ROLE say: a connection's options
# override them all (PostgreSQL manual, 19.1.3 and 19.1.4). The session is a superuser's, so it must never resolve to a
# function of another role, and the team's timeouts for its clients must not cancel a checkpoint.
PINNED: Dict[str, str] = {
    # `public.to_json(boolean)` would be preferred to to_json(anyelement) and run as the superuser.
    "search_path": "pg_catalog",
    "role": "none",
    # Loaded before the first statement; a missing library ends the session.
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "default_transaction_read_only": "off",
    # A replica refuses serializable transactions (PostgreSQL manual, 26.4.5 "Caveats" of hot standby).
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "default_tablespace": "",
    "default_table_access_method": "heap",
    "client_encoding": "UTF8",
    # Nothing reads these lines, and psql blocks once the pipe is full.
    "client_min_messages": "error",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
# A server refuses a connection with a setting that it does not know.
PINNED_SINCE_17: Dict[str, str] = {"transaction_timeout": "0", "event_triggers": "off"}


def render_options(major: int) -> str:
    """Returns PGOPTIONS for a server of that major version: a backslash escapes a space (PostgreSQL manual, 32.1.2)."""
    pinned = {**PINNED, **(PINNED_SINCE_17 if major >= 17 else {})}
    return " ".join("-c %s=%s" % (name, value.replace(" ", "\\ ")) for name, value in pinned.items())


def read_major() -> int:
    """Returns the major version of the data on this node; 0 without data."""
    text = (read_text(DATA + "/PG_VERSION") or "").strip()
    return int(text) if text.isdigit() else 0


# The database of this process's sessions.
_database = OWN_DATABASE


def psql_arguments(container: str, database: Optional[str] = None) -> List[str]:
    """Returns the command that reads SQL and writes bare rows, in `database` or else in this process's database."""
    where = ["-h", SOCKETS, "-U", "postgres", *([] if database else ["-d", _database])]
    psql = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *where]
    env = ["-e", "PGAPPNAME=postgres-cluster", "-e", "PGOPTIONS=" + render_options(read_major())]
    if database:
        # Not an argument: psql treats a name with `=` as a connection string (PostgreSQL manual, 32.1.1).
        env += ["-e", "PGDATABASE=" + database]
    return ["docker", "exec", "-i", *env, container, *psql]


def reset_database() -> None:
    """Makes the next session try the action's own database again."""
    global _database
    _database = OWN_DATABASE


def _try_next_database(status: int, log: str) -> bool:
    """Whether a session failed because of its database; if so, later sessions use the next one. The error message may be in
    any language, but it names the database."""
    global _database
    others = DATABASES[DATABASES.index(_database) + 1 :]
    # 2: no connection (psql(1), "Exit Status").
    if status != 2 or not others or not re.search(r"\b%s\b" % _database, log):
        return False
    _database = others[0]
    return True


def ensure_database(session: "Session") -> bool:
    """Creates the action's own database on a primary if it is missing; returns whether it did. Raises Problem if a database
    of that name belongs to another role."""
    found = session.ask(FIND_DATABASE)
    if found is not None and not found["ours"]:
        raise Problem(
            "database %s belongs to role %s, and the sessions of this action need it: rename it (ALTER DATABASE %s "
            "RENAME TO ...) and run again" % (OWN_DATABASE, found["owner"], OWN_DATABASE)
        )
    if found is None:
        session.execute(CREATE_DATABASE)
    if found is None or found["open"]:
        session.execute(CLOSE_DATABASE)
    reset_database()
    return found is None


def ask_once(container: str, sql: str, timeout: float = 20, database: Optional[str] = None) -> Any:
    """Returns the JSON document that one statement selects, or None if the server does not answer or refuses the
    connection."""
    result = run(psql_arguments(container, database), stdin=sql, timeout=timeout, check=False)
    while database is None and _try_next_database(result.returncode, result.stderr):
        result = run(psql_arguments(container), stdin=sql, timeout=timeout, check=False)
    # 2: no connection (psql(1), "Exit Status"); 126 and 127: no program to start; 1: Docker could not exec.
    if result.returncode != 0:
        if result.returncode == 3:
            raise Problem("the server refused a query", result.stderr)
        return None
    return json.loads(result.stdout)


class Session:
    """One connection for several statements; a context manager."""

    def __init__(self, container: str, preamble: Optional[str] = QUIET) -> None:
        self._container = container
        self._process = self._start()
        while not self._is_open():
            self._process = self._start()
        #: The database that it is connected to.
        self.database = _database
        if preamble:
            self.execute(preamble)

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            psql_arguments(self._container),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def _is_open(self) -> bool:
        """Waits until psql is connected: it reads no input before. Sends the server nothing. Returns False if a new session
        must be started in another database."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write("\\echo %s\n" % END)
            process.stdin.flush()
        except BrokenPipeError:
            pass
        if process.stdout.readline().rstrip("\n") == END:
            return True
        log = process.communicate()[1]
        if _try_next_database(process.returncode, log):
            return False
        raise Problem("psql in %s opens no session" % self._container, log)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session. May be called twice."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def execute(self, sql: str) -> List[str]:
        """Runs statements and returns their rows, one string each. Raises Problem if one fails."""
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
        """Returns the JSON document that one statement selects."""
        return json.loads("\n".join(self.execute(sql)))


def quote(text: str) -> str:
    """Returns a text as an SQL literal (PostgreSQL manual, 4.1.2.1 and 4.1.2.2)."""
    escaped = text.replace("'", "''")
    return "E'%s'" % escaped.replace("\\", "\\\\") if "\\" in text else "'%s'" % escaped
