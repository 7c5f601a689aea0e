"""SQL on this node's server, through psql in its container and over its socket, where no password is asked.

SQL goes in on stdin, so that nothing of it stands in a process list. Sessions are in a database of the action's own:
any other one belongs to people who may lock it, rename it, or put something of theirs into it.
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
# Made from template0, so without anything that somebody put into template1, and open to superusers on the socket alone.
OWN_DATABASE = "postgres_cluster"
# The next ones are for where the first is not there yet: a cluster of an earlier version, a replica that has yet to
# replay it.
DATABASES = (OWN_DATABASE, "postgres", "template1")
CREATE_DATABASE = "CREATE DATABASE %s TEMPLATE template0" % OWN_DATABASE
CLOSE_DATABASE = "REVOKE ALL ON DATABASE %s FROM PUBLIC" % OWN_DATABASE
FIND_DATABASE = """
SELECT coalesce((
  SELECT json_build_object(
    'owner', pg_get_userbyid(datdba), 'ours', datdba = 10, 'open', has_database_privilege('public', oid, 'CONNECT'))
  FROM pg_database WHERE datname = '%s'), 'null')
""" % OWN_DATABASE
# Written into every session that sets passwords: neither verifiers nor their statement reach the server's log.
QUIET = (
    "SET client_min_messages = error; SET log_statement = 'none'; SET log_min_duration_statement = -1; "
    "SET log_min_error_statement = panic; "
    # A cluster made synchronous must not wait here for replicas that are yet to come.
    "SET synchronous_commit = local"
)

# What a session of ours must have, whatever the configuration, ALTER DATABASE and ALTER ROLE say: what a connection
# asks for goes before all of them (PostgreSQL manual, 19.1.3 and 19.1.4). The session is a superuser's, so a function
# that anybody else wrote must never be found, and what the team limits its clients to must not end a checkpoint.
PINNED: Dict[str, str] = {
    # `public.to_json(boolean)` would go before to_json(anyelement) and run as the superuser.
    "search_path": "pg_catalog",
    "role": "none",
    # Before the first statement, and one that is missing ends the session.
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "default_transaction_read_only": "off",
    # A replica knows no serializable transactions.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "default_tablespace": "",
    "default_table_access_method": "heap",
    "client_encoding": "UTF8",
    # Nobody reads the lines, and a pipe that is full stops psql.
    "client_min_messages": "error",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
# A server refuses connections that ask for what it does not know.
PINNED_SINCE_17: Dict[str, str] = {"transaction_timeout": "0", "event_triggers": "off"}


def render_options(major: int) -> str:
    """The value of PGOPTIONS for a server of that major version: backslashes before spaces (libpq, 32.1.2)."""
    pinned = {**PINNED, **(PINNED_SINCE_17 if major >= 17 else {})}
    return " ".join("-c %s=%s" % (name, value.replace(" ", "\\ ")) for name, value in pinned.items())


def read_major() -> int:
    """The major version of the server whose data lies here; 0 where nothing tells."""
    text = (read_text(DATA + "/PG_VERSION") or "").strip()
    return int(text) if text.isdigit() else 0


# Where sessions of this process go.
_database = OWN_DATABASE


def psql_arguments(container: str, database: Optional[str] = None) -> List[str]:
    """The command that reads SQL and writes bare rows, in that database or in the one for sessions of ours."""
    where = ["-h", SOCKETS, "-U", "postgres", *([] if database else ["-d", _database])]
    psql = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *where]
    env = ["-e", "PGAPPNAME=postgres-cluster", "-e", "PGOPTIONS=" + render_options(read_major())]
    if database:
        # Not an argument of psql's, which takes a name with `=` in it for a connection string (libpq, 32.1.1).
        env += ["-e", "PGDATABASE=" + database]
    return ["docker", "exec", "-i", *env, container, *psql]


def look_for_database() -> None:
    """Has the next session try the action's own database again."""
    global _database
    _database = OWN_DATABASE


def _turn_away(status: int, log: str) -> bool:
    """Whether a session was not opened because of its database: then the next ones are opened in another. In whatever
    language the server says so, it names the database."""
    global _database
    others = DATABASES[DATABASES.index(_database) + 1 :]
    # 2: no connection (psql(1), "Exit Status").
    if status != 2 or not others or not re.search(r"\b%s\b" % _database, log):
        return False
    _database = others[0]
    return True


def ensure_database(session: "Session") -> bool:
    """Has the action's own database, on a primary; gives whether it was made now. Raises Problem where one of that name
    is somebody else's."""
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
    look_for_database()
    return found is None


def ask_once(container: str, sql: str, timeout: float = 20, database: Optional[str] = None) -> Any:
    """The JSON document that one statement gives, or None when the server does not answer, or lets nobody into the
    database."""
    result = run(psql_arguments(container, database), stdin=sql, timeout=timeout, check=False)
    while database is None and _turn_away(result.returncode, result.stderr):
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
        self._process = self._start()
        while not self._is_open():
            self._process = self._start()
        #: The database that it is in.
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
        """Waits for psql, which reads nothing before it is connected; asks the server nothing. False where another one
        is to be started, in another database."""
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
        if _turn_away(process.returncode, log):
            return False
        raise Problem("psql in %s opens no session" % self._container, log)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session; again does nothing."""
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
