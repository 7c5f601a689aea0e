import json
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import backup_observation, repository, restore_branch
from postgres_cluster.backrest_errors import explain_failure
from postgres_cluster.command import Problem

CONF = """[global]
repo1-path=/production/orders
repo1-s3-bucket=acme-backups
repo1-s3-endpoint=s3.us-east-1.amazonaws.com
"""
# As pgBackRest 2.55.1 prints it after one backup.
INFO = json.loads(
    '[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000003",'
    '"min":"000000010000000000000001"}],"backup":[{"archive":{"start":"000000010000000000000002",'
    '"stop":"000000010000000000000003"},"backrest":{"format":5,"version":"2.55.1"},"database":{"id":1,"repo-key":1},'
    '"error":false,"info":{"delta":23033337,"repository":{"delta":2830579,"delta-map":18223,"size-map":18223},'
    '"size":23033337},"label":"20261127-004847F","lsn":{"start":"0/2000028","stop":"0/3000050"},"prior":null,'
    '"reference":null,"timestamp":{"start":1795740527,"stop":1795740528},"type":"full"}],"cipher":"none",'
    '"db":[{"id":1,"repo-key":1,"system-id":7712646817537163281,"version":"15"}],"name":"orders",'
    '"repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],'
    '"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]'
)
BACKUP = {
    "label": "20261127-004847F",
    "type": "full",
    "started": 1795740527,
    "ended": 1795740528,
    "databaseBytes": 23033337,
    "repositoryBytes": 2830579,
    "damaged": False,
    "missingSince": None,
    "startWal": "000000010000000000000002",
    "stop": 0x3000050,
}


def parse(**changes):
    """Returns what is read from INFO with other keys of the stanza."""
    return repository.parse_info(json.dumps([{**INFO[0], **changes}]), "orders", CONF)


class Info(unittest.TestCase):
    def test_backups_and_wal_are_read(self):
        self.assertEqual(
            parse(),
            {
                "problem": None,
                "systemIdentifier": "7712646817537163281",
                "backups": [BACKUP],
                "oldestWal": "000000010000000000000001",
                "newestWal": "000000010000000000000003",
            },
        )

    def test_a_new_archive_is_empty(self):
        archive = [{**INFO[0]["archive"][0], "min": None, "max": None}]
        seen = parse(backup=[], archive=archive, status={"code": 2, "message": "no valid backups"})
        self.assertEqual((seen["problem"], seen["backups"], seen["oldestWal"]), (None, [], None))
        self.assertEqual(seen["systemIdentifier"], "7712646817537163281")

    def test_only_the_newest_database_counts(self):
        earlier = INFO[0]["backup"][0]
        later = {**earlier, "database": {"id": 2}, "label": "20261128-004847F"}
        seen = parse(
            db=[{"id": 2, "system-id": 8, "version": "17"}, *INFO[0]["db"]],
            backup=[earlier, later],
            archive=[*INFO[0]["archive"], {"database": {"id": 2}, "min": "0" * 24, "max": "F" * 24}],
        )
        self.assertEqual([item["label"] for item in seen["backups"]], ["20261128-004847F"])
        self.assertEqual((seen["systemIdentifier"], seen["oldestWal"], seen["newestWal"]), ("8", "0" * 24, "F" * 24))

    def test_a_year_of_backups_is_reported(self):
        backups = [
            {**INFO[0]["backup"][0], "timestamp": {"start": 1795740527 + day, "stop": 1795740528 + day}} for day in range(500)
        ]
        seen = parse(backup=backups[::-1])["backups"]
        self.assertEqual((len(seen), seen[-1]["started"]), (400, 1795740527 + 499))

    def test_damaged_pages_are_reported(self):
        self.assertTrue(parse(backup=[{**INFO[0]["backup"][0], "error": True}])["backups"][0]["damaged"])

    def test_a_backup_that_closed_a_gap_says_since_when(self):
        for annotation, expected in [
            ({"wal-missing-since": "2026-11-27T00:46:03Z", "owner": "x"}, 1795740363),
            ({"wal-missing-since": "1969-01-01T00:00:00Z"}, 0),
            *[({"wal-missing-since": value}, None) for value in ("2026-13-27T00:46:03Z", "2026-11-27T00:46:03Z\n", 5, None)],
            ([], None),
        ]:
            with self.subTest(annotation):
                (seen,) = parse(backup=[{**INFO[0]["backup"][0], "annotation": annotation}])["backups"]
                self.assertEqual(seen["missingSince"], expected)

    def test_a_gap_is_written_as_it_is_read(self):
        asked = []
        with mock.patch.multiple(
            repository, read_text=lambda _: CONF, run=lambda argv, **_: asked.append(argv) or mock.Mock(returncode=0)
        ):
            repository.annotate_gap("orders", "20261127-004847F", 1795740363)
        self.assertEqual(asked[0][-3:], ["--set=20261127-004847F", "--annotation=wal-missing-since=2026-11-27T00:46:03Z", "annotate"])
        refused = mock.Mock(returncode=75, stderr="ERROR: [075]: no backup set to annotate found")
        with mock.patch.multiple(repository, read_text=lambda _: CONF, run=lambda *_, **__: refused):
            with self.assertRaises(Problem) as caught:
                repository.annotate_gap("orders", "20261127-004847F", 5)
        self.assertIn("backup 20261127-004847F could not be annotated", caught.exception.message)

    def test_what_is_no_backup_is_left_out(self):
        good = INFO[0]["backup"][0]
        for name, changes in [
            ("a label with a command", {"label": "20261127-004847F\n::set-output"}),
            ("no label", {"label": None}),
            ("another type", {"type": "copy"}),
            ("no times", {"timestamp": None}),
            ("no WAL", {"archive": {"start": None, "stop": None}}),
            ("another name for WAL", {"archive": {"start": "00000001000000000000000\n"}}),
            ("a time without an end", {"timestamp": {"start": 1, "stop": 2**60}}),
            ("text for a size", {"info": {"size": "1", "repository": {"delta": 1}}}),
            ("true for a size", {"info": {"size": True, "repository": {"delta": 1}}}),
            ("no size in the repository", {"info": {"size": 1}}),
        ]:
            with self.subTest(name):
                self.assertEqual(parse(backup=[{**good, **changes}])["backups"], [])

    def test_anything_else_is_no_crash(self):
        for text in ("", "null", "[]", "[null]", '[{"name": "other"}]', '{"name": "orders"}', "[1]"):
            with self.subTest(text):
                seen = repository.parse_info(text, "orders", CONF)
                self.assertEqual(seen["problem"], "pgBackRest said nothing about the backups in bucket acme-backups")
        for changes in ({"db": None}, {"db": [{"id": "1"}]}, {"backup": 1, "archive": {}}, {"db": [None]}):
            with self.subTest(changes):
                self.assertEqual(parse(**changes)["backups"], [])
        seen = parse(archive=[{"database": {"id": 1}, "min": "; rm", "max": 3}], db=[{"id": 1, "system-id": "x"}])
        self.assertEqual((seen["oldestWal"], seen["newestWal"], seen["systemIdentifier"]), (None, None, None))

    def test_a_deleted_archive_is_a_problem(self):
        for code in (1, 3):
            self.assertIn("bucket acme-backups holds no archive of this cluster", parse(status={"code": code})["problem"])

    def test_an_error_of_the_repository_is_explained(self):
        said = "[HostConnectError] unable to connect to '127.0.0.1:1': [111] Connection refused"
        seen = parse(
            db=[], backup=[], archive=[], status={"code": 99, "message": "other"}, repo=[{"status": {"code": 99, "message": said}}]
        )
        self.assertTrue(seen["problem"].startswith("s3.us-east-1.amazonaws.com does not answer"), seen["problem"])


class Read(unittest.TestCase):
    def read(self, run, obstacle=None):
        with mock.patch.multiple(
            repository, run=run, read_text=lambda _: CONF, find_obstacle=lambda _: obstacle
        ):
            return repository.read_repository("orders")

    def test_the_time_is_bounded_and_the_configuration_is_the_host_s(self):
        def run(argv, timeout, check):
            self.assertEqual((timeout, check), (15, False))
            self.assertEqual(argv[:2], ["/opt/pgbackrest/pgbackrest", "--config=/var/lib/postgresql-cluster/etc/pgbackrest.conf"])
            return mock.Mock(returncode=0, stdout=json.dumps(INFO))

        self.assertEqual(self.read(run)["backups"], [BACKUP])

    def test_a_bucket_that_hangs_is_a_problem_of_the_observation_only(self):
        def run(*_, **__):
            raise Problem("`pgbackrest info` did not end within 15 s")

        for obstacle, words in [
            (None, "s3.us-east-1.amazonaws.com does not answer"),
            ("unable to get address for 'x'", "the name s3.us-east-1.amazonaws.com cannot be resolved"),
        ]:
            self.assertIn(words, self.read(run, obstacle)["problem"])

    def test_a_host_without_the_bundle_says_so(self):
        def run(*_, **__):
            raise Problem("/opt/pgbackrest/pgbackrest is not installed on this node")

        self.assertEqual(self.read(run)["problem"], "/opt/pgbackrest/pgbackrest is not installed on this node")

    def test_a_failure_is_explained(self):
        seen = self.read(lambda *_, **__: mock.Mock(returncode=31, stderr="ERROR: [031]: option 'x' not valid\n", stdout=""))
        self.assertEqual(seen["problem"], "pgBackRest failed with exit code 31: option 'x' not valid")


class Failures(unittest.TestCase):
    def test_each_has_its_cause_and_a_next_step(self):
        def http(status, code=""):
            content = "*** Response Content ***:\n<Error><Code>%s</Code></Error>" % code if code else ""
            headers = "x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:us-east-1:1:key/2"
            return "ERROR: [039]: HTTP request failed with %s:\n*** Request Headers ***:\n%s\n%s" % (status, headers, content)

        for code, said, begin in [
            (39, http("404 (Not Found)", "NoSuchBucket"), "bucket acme-backups does not exist at s3.us-east-1.amazonaws.com"),
            (39, http("403 (Forbidden)", "AccessDenied"), "access to /production/orders in bucket acme-backups is denied"),
            (39, http("403 (Forbidden)"), "access to /production/orders in bucket acme-backups is denied"),
            (39, http("403 (Forbidden)", "RequestTimeTooSkewed"), "S3 refuses the request because this node's clock is wrong"),
            (39, http("403 (Forbidden)", "ExpiredToken"), "S3 does not accept the credentials"),
            (
                39,
                http("403 (Forbidden)", "AccessDenied") + "not authorized to perform: kms:GenerateDataKey on",
                "the role of the instance may not use the key",
            ),
            (39, http("301 (Moved Permanently)", "PermanentRedirect"), "bucket acme-backups is not at"),
            (39, http("503 (Slow Down)", "SlowDown"), "s3.us-east-1.amazonaws.com answers with an error of its own"),
            (101, "ERROR: [101]: [503] Slow Down", "s3.us-east-1.amazonaws.com answers with an error of its own"),
            (39, "ERROR: [039]: role to retrieve temporary credentials not found", "the instance has no role"),
            (49, "ERROR: [049]: unable to connect to '169.254.169.254:80'", "the instance's metadata service"),
            (49, "ERROR: [049]: unable to connect to '10.0.0.9:443': [110] timed out", "s3.us-east-1.amazonaws.com does not"),
            (49, "ERROR: [049]: unable to get address for 'x': [-2]", "the name s3.us-east-1.amazonaws.com cannot be resolved"),
            (95, "ERROR: [095]: unable to verify certificate presented by 'x:443': [18]", "s3.us-east-1.amazonaws.com presents"),
            (28, "ERROR: [028]: backup and archive info files exist but do not match", "/production/orders in bucket acme-backups"),
            (40, "ERROR: [040]: archive directory not empty", "/production/orders in bucket acme-backups holds files"),
            (50, "ERROR: [050]: unable to acquire lock on file", "another process of pgBackRest works"),
            (56, "ERROR: [056]: unable to find primary cluster - cannot proceed", "pgBackRest cannot connect to PostgreSQL"),
        ]:
            with self.subTest(said):
                sentence = explain_failure(code, said, CONF)
                self.assertTrue(sentence.startswith(begin), sentence)
                self.assertNotIn("\n", sentence)

    def test_an_unknown_failure_quotes_the_first_message_only(self):
        said = "2026-11-27 00:48:47.143 P00  ERROR: [099]: %s\nsecond line\n" % ("x" * 5000)
        self.assertEqual(explain_failure(99, said, ""), "pgBackRest failed with exit code 99: " + "x" * 200)
        self.assertEqual(explain_failure(0, "", ""), "pgBackRest failed")


class Observation(unittest.TestCase):
    def observe(self, postgres, archived=None, archives=True, dropped=None, backups=()):
        with mock.patch.multiple(
            backup_observation,
            is_archiving=lambda: archives,
            read_dropped=lambda start=None: None if dropped and start and dropped["last"] < start else dropped,
            read_repository=lambda cluster: {"problem": None, "backups": list(backups)},
            observe_backup_runs=lambda cluster: {"running": None, "last": None},
            read_wal_bytes=lambda cluster, newest: {None: None}.get(newest, 4096),
        ), mock.patch.object(backup_observation.os, "stat", lambda _: mock.Mock(st_mtime=100.5)):
            return backup_observation.observe_backup("orders", postgres, archived)

    def test_only_a_running_primary_that_archives_is_asked(self):
        self.assertIsNone(self.observe(None))
        self.assertIsNone(self.observe({"inRecovery": True}))
        self.assertIsNone(self.observe({"inRecovery": False}, archives=False))
        self.assertIsNotNone(self.observe({"inRecovery": False}))

    def test_the_size_of_the_wal_is_that_after_the_newest_backup(self):
        for backups, expected in [((), None), ([BACKUP], 4096)]:
            self.assertEqual(self.observe({"inRecovery": False}, backups=backups)["walBytes"], expected)

    def test_the_command_succeeded_before_it_archived(self):
        for archived, expected in [(None, None), (99, None), (100, 100), (200, 200)]:
            self.assertEqual(self.observe({"inRecovery": False}, archived)["archivedAt"], expected)

    def test_backups_of_a_branch_that_the_cluster_left_are_none_of_its_own(self):
        with tempfile.TemporaryDirectory() as data, mock.patch.object(restore_branch, "DATA", data):
            os.mkdir(data + "/pg_wal")
            self.assertEqual(len(self.observe({"inRecovery": False}, backups=[BACKUP])["backups"]), 1)
            for left, expected in [("0/3000050", 1), ("0/3000048", 0)]:
                with open(data + "/pg_wal/00000002.history", "w", encoding="utf-8") as file:
                    file.write("1\t%s\tbefore 2026-11-27 00:00:00+00\n" % left)
                seen = self.observe({"inRecovery": False}, backups=[BACKUP])
                self.assertEqual((len(seen["backups"]), len(seen["abandoned"])), (expected, 1 - expected), left)
            later = {**BACKUP, "startWal": "000000020000000000000003"}
            (own,) = self.observe({"inRecovery": False}, backups=[BACKUP, later])["backups"]
            self.assertNotIn("stop", own)

    def test_dropped_wal_is_reported(self):
        dropped = {"files": 3, "since": 150, "last": "000000010000000000000005"}
        earlier, later = ({**BACKUP, "startWal": "00000001000000000000000%d" % number} for number in (5, 6))
        increment = {**later, "type": "incr"}
        for backups, expected in [
            ([], {"files": 3, "since": 150}),
            ([earlier, increment], {"files": 3, "since": 150}),
            ([earlier, later], None),
        ]:
            seen = self.observe({"inRecovery": False}, dropped=dropped, backups=backups)
            self.assertEqual(seen["dropped"], expected)
            # It is not known when this WAL was written: at the latest with the end of the newest backup, all of it is there.
            unknown = self.observe({"inRecovery": False}, dropped={**dropped, "since": 0}, backups=[earlier])
            self.assertEqual(unknown["dropped"], {"files": 3, "since": earlier["ended"]})
            # The report's schema has no such key.
            self.assertNotIn("startWal", json.dumps(seen["backups"]))


if __name__ == "__main__":
    unittest.main()
