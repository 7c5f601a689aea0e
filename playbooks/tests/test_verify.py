import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))
sys.path.insert(0, os.path.dirname(__file__))

from postgres_cluster import proof, verification, verify, work
from postgres_cluster.command import Pending, Problem
from postgres_cluster.spec import Spec, leaves_work
from postgres_cluster.stages import DAMAGE, Verification

import test_work

SPEC = Spec("orders", "node-1", "postgres:17", [], None, None, "", "", "node-1", step="verify", deadline=0.0)
TOKEN = "6d3c0f5e-0000-4000-8000-000000000001"
CANARY = {"token": TOKEN, "written": "2026-11-26T02:30:00.000001Z", "roles": 14, "databases": 5, "names": "a" * 64}
RESTORED = {
    "parameters": {"source": "/orders"},
    "label": "20261126-023001F",
    "systemIdentifier": "77",
    "seconds": 90,
    "lastCommit": 1795740000,
}
PARAMETERS = {"source": "/orders", "token": TOKEN}


def found(state, kind="verify", ended=None, parameters=None, problem=None, **facts):
    ended = int(time.time()) if ended is None else ended
    facts = {"method": "pg_amcheck", "relations": 412, "isDamaged": False, "damage": [], **facts}
    return work.Work(state, parameters or PARAMETERS, ended - 30, ended, 8192, 8192, problem, "log", True, kind, facts)


class Step(unittest.TestCase):
    """The step on a node whose unit and server are played."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name + "/verified.json"
        self.restored, self.role = RESTORED, "primary"
        self.token, self.names = TOKEN, {name: CANARY[name] for name in ("roles", "databases", "names")}
        self.database = "postgres_cluster"
        self.order = []

        def write(path, text):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

        patch = mock.patch.multiple(verification, VERIFIED=self.path, write_text=write)
        patch.start()
        self.addCleanup(patch.stop)

    def call(self, before=None, then=None, canary=CANARY):
        done = []
        now = {"work": before}

        def start(spec, parameters):
            done.append("start")
            now["work"] = found("running", parameters=parameters)

        def end(cluster):
            done.append("end")
            now["work"] = None

        def wait(spec):
            if then == "pending":
                raise Pending()
            return then or found("done")

        answers = {verify.DATABASES: lambda: ["postgres", "template1"], verify.SIZE: lambda: 10**9, verify.READ: lambda: [self.token]}
        session = mock.MagicMock(ask=lambda question: answers[question](), database=self.database)
        session.__enter__ = lambda _: session
        patches = {
            "require_mounted": lambda cluster: None,
            "read_json": lambda path: self.restored,
            "is_in_place": lambda restored: True,
            "read_role": lambda spec: self.role,
            "find_work": lambda cluster: now["work"],
            "start": start,
            "end_work": end,
            "await_copy": wait,
            "Session": lambda container: session,
            "has_table": lambda session: self.token is not None,
            "require_order": lambda spec, major: self.order,
            "list_canary": lambda session: {"written": "later", **self.names},
        }
        with mock.patch.multiple(verify, **patches):
            try:
                self.outcome = verify.verify(SPEC, canary)
            except Pending:
                done.append("pending")
        return done

    def refuse(self, *arguments, **options):
        with self.assertRaises(Problem) as caught:
            self.call(*arguments, **options)
        self.assertFalse(os.path.exists(self.path))
        return caught.exception.message

    def test_keeps_what_was_found_for_the_proof(self):
        self.assertIsNone(verification.read_verification())
        self.assertEqual(self.call(), ["start", "end"])
        expected = {
            "backup": "20261126-023001F",
            "restoreSeconds": 90,
            "verifySeconds": 30,
            "lastCommit": 1795740000,
            "databases": 2,
            "relations": 412,
            "method": "pg_amcheck",
            "bytes": 10**9,
        }
        self.assertEqual(verification.read_verification(), expected)
        self.assertEqual((self.outcome.changed, self.outcome.notes), (True, []))

    def test_is_done_once_for_a_token(self):
        self.call()
        # The proof has written another value since.
        self.token = "other"
        self.assertEqual(self.call(), [])
        self.assertFalse(self.outcome.changed)
        os.unlink(self.path)
        self.assertIn('the value of the latest proof is "other", expected ' + TOKEN, self.refuse())

    def test_outlives_the_call_and_is_adopted(self):
        self.assertEqual(self.call(then="pending"), ["start", "pending"])
        self.assertEqual(self.call(found("running"), then="pending"), ["pending"])
        self.assertEqual(self.call(found("done")), ["end"])
        self.assertTrue(leaves_work("verify"))

    def test_starts_over_after_other_work_a_cut_or_a_failure_that_nobody_saw(self):
        for before in (
            found("running", kind="restore"),
            found("done", parameters={**PARAMETERS, "token": "other"}),
            found("failed", problem=work.CUT),
            found("failed", problem="no", ended=0),
        ):
            self.assertEqual(self.call(before, then="pending"), ["end", "start", "pending"])

    def test_reports_a_failure(self):
        self.assertEqual(self.refuse(found("failed", problem="it cannot be read")), "it cannot be read")
        self.assertEqual(self.refuse(then=found("failed", problem="it cannot be read")), "it cannot be read")

    def test_names_everything_that_is_wrong_in_one_message(self):
        self.names = {"roles": 13, "databases": 6, "names": "b" * 64}
        self.order = ["indexes of app are not to be trusted"]
        damage = [{"relation": 'heap table "shop.public.items"', "message": "ERROR:  invalid page in block 1"}]
        message = self.refuse(then=found("done", isDamaged=True, damage=damage))
        for part in (
            'restored from backup 20261126-023001F: heap table "shop.public.items" (ERROR:  invalid page in block 1)',
            "`backup-type: full`",
            "what the cluster was at 2026-11-26T02:30:00.000001Z: there are 13 roles, expected 14; there are 6 databases, expected 5",
            "\nindexes of app are not to be trusted",
        ):
            self.assertIn(part, message)

    def test_names_each_difference(self):
        for token, names, expected in [
            (None, {}, "there is no value of a proof, expected " + TOKEN),
            (TOKEN, {"names": "b" * 64}, "as many roles and databases as expected, and some have other names"),
            ("other", {"names": "b" * 64}, "and some have other names"),
        ]:
            with self.subTest(token=token, names=names):
                self.token, self.names = token, {**{name: CANARY[name] for name in ("roles", "databases", "names")}, **names}
                self.assertIn(expected, self.refuse())
        self.token, self.names, self.database = TOKEN, CANARY, "postgres"
        self.assertIn("there is no value of a proof", self.refuse())

    def test_only_a_restored_primary_is_verified(self):
        self.role = None
        self.assertIn("does not run as the primary", self.refuse())
        self.restored = None
        self.assertIn("holds no data from backups", self.refuse())

    def test_says_what_an_image_without_pg_amcheck_leaves_out(self):
        self.call(then=found("done", method="pg_dumpall"))
        self.assertIn("postgres:17 has no pg_amcheck", self.outcome.notes[0])
        self.assertEqual(verification.read_verification()["method"], "pg_dumpall")
        self.call()
        self.assertIn("postgres:17 has no pg_amcheck", self.outcome.notes[0], "a later run says so, too")

    def test_a_verification_of_nothing_is_none(self):
        for method in ("pg_amcheck", "pg_dumpall"):
            message = self.refuse(then=found("done", method=method, relations=0))
            self.assertIn(method + " read no table and no index of what node-1 restored", message)

    def test_the_image_decides_the_method_once(self):
        for has, method in ((True, "pg_amcheck"), (False, "pg_dumpall")):
            asked, started = [], []
            patches = {
                "has_amcheck": lambda spec: asked.append(1) or has,
                "ask_once": lambda *arguments, **options: [],
                "read_major": lambda: 17,
                "start_work": lambda cluster, image, stages, *rest: started.extend(stages),
            }
            with self.subTest(method), mock.patch.multiple(verify, **patches):
                verify.start(SPEC, PARAMETERS)
                [stage] = started
                self.assertEqual((stage["method"], len(asked)), (method, 1))
                self.assertIn(method, stage["attempts"][0])
                self.assertEqual(Verification(stage).describe(0)["method"], method)

    def test_the_proof_of_the_primary_reports_it(self):
        self.call()
        for name, expected in (("node-1", 412), ("node-2", None)):
            with mock.patch.multiple(proof, _measure_space=lambda: None, _open_session=mock.Mock(side_effect=Problem("no"))):
                line = proof.prove({"name": name, "primary": "node-1", "address": "10.42.0.11", "cluster": "orders"})
            self.assertEqual((line["verification"] or {}).get("relations"), expected)


class Output(unittest.TestCase):
    """What pg_amcheck and pg_dumpall print."""

    def parse(self, text):
        parser = Verification({})
        for line in text.splitlines(keepends=True):
            parser.take_line(line)
        return parser

    def test_progress_is_counted_in_bytes_and_is_no_log(self):
        parser = self.parse("   0/1031 relations (0%),     0/3203 pages (0%)\n 412/1031 relations (39%),  1200/3203 pages (37%)\n")
        self.assertEqual((parser.done, parser.total, parser.log), (1200 * 8192, 3203 * 8192, ""))
        self.assertEqual(parser.describe(0), {"method": None, "relations": 1031, "isDamaged": False, "damage": []})

    def test_damage_is_named_once_for_each_relation(self):
        text = """1031/1031 relations (100%), 3203/3203 pages (100%)
heap table "shop.public.items", block 1, offset 2:
    xmin 999 equals or exceeds next valid transaction ID 0:800
heap table "shop.public.items", block 1, offset 3, attribute 2:
    attribute 2 with length 7 ends at offset 99
btree index "shop.public.a "": b":
    ERROR:  index "a" lacks a main relation fork
    DETAIL:  none
"""
        found = self.parse("%s%s\n" % (text, DAMAGE)).describe(0)
        self.assertTrue(found["isDamaged"])
        self.assertEqual(
            [(one["relation"], one["message"]) for one in found["damage"]],
            [
                ('heap table "shop.public.items"', "xmin 999 equals or exceeds next valid transaction ID 0:800"),
                ('btree index "shop.public.a "": b"', 'ERROR:  index "a" lacks a main relation fork'),
            ],
        )
        many = "".join('heap table "d.s.t%d":\n    ERROR:  no\n' % number for number in range(5000))
        self.assertEqual(len(self.parse(many).describe(0)["damage"]), 10)

    def test_tables_that_are_dumped_are_counted(self):
        text = 'pg_dump: reading tables\npg_dump: dumping contents of table "public.a"\npg_dump: dumping contents of table "public.b"\n'
        self.assertEqual(self.parse(text).describe(0)["relations"], 2)


class Unit(test_work.Node):
    """The unit's program with the real script, and a pg_amcheck that is played."""

    def verify(self, amcheck):
        self.script("pg_amcheck", amcheck)
        os.rmdir(self.partial)
        attempts = [["sh", "-c", verify.SCRIPT, "verify", "pg_amcheck"]]
        stages = [{"kind": "verification", "parser": "verification", "method": "pg_amcheck", "attempts": attempts}]
        work.start_work("orders", None, stages, PARAMETERS, "verify", "node-1 cannot read it", True, "verify")
        test_work.worker.main()
        self.assertFalse(os.path.exists(self.partial))
        return self.read(self.state)

    def test_reads_everything_and_makes_no_data(self):
        state = self.verify("echo '7/7 relations (100%), 9/9 pages (100%)' >&2")
        self.assertEqual((state["state"], state["kind"], state["relations"], state["done"]), ("done", "verify", 7, 9 * 8192))
        progress = self.read(self.progress)
        self.assertEqual((progress["kind"], progress["working"], progress["detached"]), ("verification", False, True))
        reported = work.find_work("orders").found
        self.assertEqual((reported["method"], reported["relations"]), ("pg_amcheck", 7))
        observed = work.observe_work("orders")
        self.assertEqual((observed["kind"], observed["state"], observed["source"]), ("verify", "done", "/orders"))

    def test_damage_is_a_result(self):
        state = self.verify("printf 'heap table \"a.b.c\":\\n    ERROR:  no\\n'; exit 2")
        self.assertEqual((state["state"], state["isDamaged"]), ("done", True))
        self.assertEqual(state["damage"], [{"relation": 'heap table "a.b.c"', "message": "ERROR:  no"}])

    def test_any_other_end_is_a_failure(self):
        state = self.verify("echo 'pg_amcheck: error: connection failed' >&2; exit 1")
        self.assertEqual((state["state"], state["problem"]), ("failed", "node-1 cannot read it"))
        self.assertIn("connection failed", state["log"])

    def test_a_full_disk_does_not_end_it(self):
        with mock.patch.object(test_work.worker, "measure_space", lambda path: test_work.Space(10**9, 10**9, 0)):
            self.assertEqual(self.verify("sleep 1.2")["state"], "done")

    def test_the_program_ends_with_its_client(self):
        self.script("pg_amcheck", "echo $$ >%s/pid; exec sleep 60" % self.folder)
        client = subprocess.Popen(["sh", "-c", verify.SCRIPT, "verify", "pg_amcheck"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.folder + "/pid") or not os.path.getsize(self.folder + "/pid"):
            time.sleep(0.01)
        client.stdin.close()
        self.assertNotEqual(client.wait(timeout=10), 0)


class Start(unittest.TestCase):
    """Which program reads."""

    def start(self, has_amcheck):
        started, asked = [], []

        def ask(container, sql, timeout=20, database=None):
            asked.append(database)
            return ["postgres", "a=b"] if sql == verify.DATABASES else True

        patches = {
            "has_amcheck": lambda spec: has_amcheck,
            "ask_once": ask,
            "read_major": lambda: 17,
            "start_work": lambda *arguments: started.append(arguments),
        }
        with mock.patch.multiple(verify, **patches):
            verify.start(SPEC, PARAMETERS)
        (command,) = started[0][2][0]["attempts"]
        json.dumps(started[0][2])
        return command[command.index("verify") + 1 :], asked

    def test_pg_amcheck_of_all_databases_with_the_extension_of_the_image(self):
        program, asked = self.start(True)
        self.assertEqual(program[:3], ["pg_amcheck", "--all", "--install-missing"])
        # The extension that a database has is dropped, whatever its name.
        self.assertEqual(asked, [None, "postgres", "a=b"])

    def test_a_dump_where_the_image_has_none(self):
        program, asked = self.start(False)
        self.assertEqual(program[:3], ["pg_dumpall", "--verbose", "--no-sync"])
        self.assertEqual(asked, [])


if __name__ == "__main__":
    unittest.main()
