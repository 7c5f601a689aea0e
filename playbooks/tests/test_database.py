import os
import shutil
import stat
import sys
import tempfile
import textwrap
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import proof, psql
from postgres_cluster.command import Problem

# Replaces `docker exec … psql … -d <database>`: refuses connections to the databases in $CLOSED, and answers every
# statement with the name of its database.
DOCKER = r"""
import os, re, sys
database = sys.argv[-1]
with open(os.environ["TRIED"], "a") as file:
    file.write(database + " ")
if database in os.environ["CLOSED"].split():
    sys.stderr.write('psql: error: connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: ')
    sys.stderr.write(os.environ["WORDS"] % database + "\n")
    sys.exit(2)
for line in sys.stdin:
    echo = re.match(r"\\echo (.*)", line)
    print(echo.group(1) if echo else '"%s"' % database, flush=True)
"""
MISSING = 'FATAL:  database "%s" does not exist'


class Database(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.tried = os.path.join(folder, "tried")
        path = os.path.join(folder, "docker")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!%s\n%s" % (sys.executable, textwrap.dedent(DOCKER)))
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        environment = {"PATH": "%s:%s" % (folder, os.environ["PATH"]), "TRIED": self.tried, "WORDS": MISSING, "CLOSED": ""}
        patch = mock.patch.dict(os.environ, environment)
        patch.start()
        self.addCleanup(patch.stop)
        psql.reset_database()
        self.addCleanup(psql.reset_database)

    def close(self, *databases, words=MISSING):
        os.environ["CLOSED"] = " ".join(databases)
        os.environ["WORDS"] = words

    def list_tried(self):
        with open(self.tried, encoding="utf-8") as file:
            return file.read().split()

    def test_a_session_uses_the_database_of_the_action(self):
        with psql.Session("c", None) as session:
            self.assertEqual(session.ask("SELECT 1"), "postgres_cluster")
        self.assertEqual(psql.ask_once("c", "SELECT 1"), "postgres_cluster")
        self.assertEqual(self.list_tried(), ["postgres_cluster"] * 2)

    def test_if_it_is_missing_this_and_later_sessions_use_another(self):
        self.close("postgres_cluster")
        with psql.Session("c", None) as session:
            self.assertEqual(session.ask("SELECT 1"), "postgres")
            self.assertEqual(session.database, "postgres")
        self.assertEqual(psql.ask_once("c", "SELECT 1"), "postgres")
        self.assertEqual(self.list_tried(), ["postgres_cluster", "postgres", "postgres"])

    def test_a_database_that_refuses_connections_is_skipped(self):
        self.close("postgres_cluster", "postgres", words="FATAL:  la base de données « %s » n'accepte plus les connexions")
        self.assertEqual(psql.ask_once("c", "SELECT 1"), "template1")
        psql.reset_database()
        with psql.Session("c", None) as session:
            self.assertEqual(session.ask("SELECT 1"), "template1")

    def test_a_server_that_is_down_does_not_change_the_database(self):
        self.close(*psql.DATABASES, words="No such file or directory%.0s")
        self.assertIsNone(psql.ask_once("c", "SELECT 1"))
        with self.assertRaisesRegex(Problem, "psql in c opens no session"):
            psql.Session("c", None)
        self.assertEqual(self.list_tried(), ["postgres_cluster"] * 2)
        self.close()
        self.assertEqual(psql.ask_once("c", "SELECT 1"), "postgres_cluster")

    def test_an_error_names_the_last_database_if_all_refuse(self):
        self.close(*psql.DATABASES)
        self.assertIsNone(psql.ask_once("c", "SELECT 1"))
        psql.reset_database()
        with self.assertRaises(Problem) as caught:
            psql.Session("c", None)
        self.assertIn('"template1" does not exist', caught.exception.log)


class Ensure(unittest.TestCase):
    def ensure(self, found):
        session = mock.Mock()
        session.ask.return_value = found
        changed = psql.ensure_database(session)
        return changed, [call.args[0].split()[0] for call in session.execute.call_args_list]

    def test_a_missing_database_is_created_and_closed(self):
        self.assertEqual(self.ensure(None), (True, ["CREATE", "REVOKE"]))

    def test_a_database_that_is_still_open_is_closed(self):
        self.assertEqual(self.ensure({"owner": "postgres", "ours": True, "open": True}), (False, ["REVOKE"]))
        self.assertEqual(self.ensure({"owner": "postgres", "ours": True, "open": False}), (False, []))

    def test_a_database_of_another_owner_is_refused(self):
        with self.assertRaisesRegex(Problem, "belongs to role mallory.*rename it"):
            self.ensure({"owner": "mallory", "ours": False, "open": True})


class Proof(unittest.TestCase):
    """The proof reads and writes the action's database on every node."""

    def open(self, databases, is_primary, in_recovery):
        sessions = []
        for database in databases:
            session = mock.Mock(database=database)
            session.ask.side_effect = lambda sql: in_recovery if "pg_is_in_recovery" in sql else None
            sessions.append(session)
        with mock.patch.object(proof, "Session", side_effect=sessions) as opened:
            with mock.patch.object(proof, "POLL_SECONDS", 0):
                found = proof._open_session("c", is_primary)
        made = any("CREATE DATABASE" in str(session.execute.call_args_list) for session in sessions)
        closed = [session.close.called for session in sessions[: opened.call_count]]
        return found.database, opened.call_count, made, closed

    def test_a_replica_waits_for_the_database(self):
        databases = ["postgres", "postgres", "postgres_cluster"]
        self.assertEqual(self.open(databases, False, True), ("postgres_cluster", 3, False, [True, True, False]))

    def test_the_primary_creates_the_database(self):
        databases = ["postgres", "postgres_cluster"]
        self.assertEqual(self.open(databases, True, False), ("postgres_cluster", 2, True, [True, False]))

    def test_a_node_in_another_role_does_not_wait(self):
        self.assertEqual(self.open(["postgres"], True, True), ("postgres", 1, False, [False]))
        self.assertEqual(self.open(["postgres"], False, False), ("postgres", 1, False, [False]))


if __name__ == "__main__":
    unittest.main()
