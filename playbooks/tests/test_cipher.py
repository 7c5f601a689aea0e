import os
import re
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import cipher
from postgres_cluster.backrest_errors import explain_failure
from postgres_cluster.command import Problem
from postgres_cluster.repository import parse_info
from postgres_cluster.restore_source import Source, explain

KEY = "q1+/=_-" * 6
OTHER = "x" * 32
PLAIN = "[global]\nrepo1-path=/orders\nrepo1-s3-bucket=acme\ncompress-type=zst\n"
ENCRYPTED = PLAIN.replace("compress", "repo1-cipher-type=aes-256-cbc\ncompress")
COMPLETE = ENCRYPTED.replace("compress", "repo1-cipher-pass=%s\ncompress" % KEY)
HERE = os.path.dirname(__file__)


class Key(unittest.TestCase):
    def test_is_added_where_the_file_names_a_cipher(self):
        self.assertEqual(cipher.add_key(ENCRYPTED, KEY), COMPLETE)
        self.assertEqual(cipher.add_key(PLAIN, KEY), PLAIN)
        self.assertEqual(cipher.add_key("", None), "")

    def test_one_that_is_missing_or_more_than_a_line_is_refused_without_being_shown(self):
        for key in (None, "", "short", OTHER + "\nrepo1-type=posix", OTHER + "\n", OTHER + " x"):
            with self.subTest(key), self.assertRaises(Problem) as caught:
                cipher.add_key(ENCRYPTED, key, "restore-cipher-key")
            self.assertIn("bucket acme is encrypted, and its key was not given: set restore-cipher-key", caught.exception.message)
            self.assertNotIn("xxxx", caught.exception.message)

    def test_is_no_part_of_what_is_observed(self):
        self.assertEqual(cipher.remove_key(COMPLETE), ENCRYPTED)
        self.assertEqual(cipher.remove_key(PLAIN), PLAIN)
        self.assertIsNone(cipher.remove_key(None))
        for line in (" repo1-cipher-pass = %s\n", "repo1-cipher-pass=%s", "repo1-cipher-pass=%s\r\n"):
            self.assertNotIn(KEY, cipher.remove_key(PLAIN + line % KEY))

    def test_is_compared(self):
        for conf, key, expected in [
            (COMPLETE, KEY, True),
            (COMPLETE, OTHER, False),
            (ENCRYPTED, KEY, False),
            (COMPLETE, None, None),
            (PLAIN, KEY, None),
            (None, KEY, None),
        ]:
            with self.subTest(conf=conf, key=key):
                self.assertEqual(cipher.is_key_current(conf, key), expected)

    def test_and_cipher_of_a_repository_cannot_change(self):
        cipher.require_same(COMPLETE, COMPLETE)
        cipher.require_same(PLAIN, PLAIN)
        for before, after in [
            (COMPLETE, cipher.add_key(ENCRYPTED, OTHER)),
            (PLAIN, COMPLETE),
            (COMPLETE, PLAIN),
        ]:
            with self.assertRaises(Problem) as caught:
                cipher.require_same(before, after)
            self.assertIn("/orders in bucket acme has another cipher or another key", caught.exception.message)
            self.assertNotIn(KEY, caught.exception.message + caught.exception.log)
            self.assertNotIn(OTHER, caught.exception.message)

    def test_only_postgresql_reads_a_file_with_it(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch("os.fchown") as chown:
            for conf, mode, owner in [(COMPLETE, 0o600, (999, 998)), (PLAIN, 0o644, (0, 0))]:
                path = folder + "/pgbackrest.conf"
                self.assertTrue(cipher.write_conf(path, conf, (999, 998)))
                self.assertEqual(os.stat(path).st_mode & 0o7777, mode)
                self.assertEqual(chown.call_args.args[1:], owner)

    def test_follows_the_user_of_another_image(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(cipher, "ETC", folder), mock.patch("os.chown") as chown:
            path = folder + "/pgbackrest.conf"
            cipher.give_conf((70, 70))
            for conf, calls in [(PLAIN, 0), (COMPLETE, 1)]:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(conf)
                cipher.give_conf((70, 70))
                self.assertEqual(chown.call_count, calls)
            chown.assert_called_with(path, 70, 70)
            cipher.give_conf((os.getuid(), os.getgid()))
            self.assertEqual(chown.call_count, 1)


class Arguments(unittest.TestCase):
    def test_ansible_hides_every_key_and_only_two_steps_get_one(self):
        for name in ("cluster_postgres", "cluster_observe"):
            with open("%s/../library/%s.py" % (HERE, name), encoding="utf-8") as file:
                found = re.findall(r'"\w+_cipher_secret": (\{.*\})', file.read())
            self.assertTrue(found)
            self.assertEqual(set(found), {'{"type": "str", "no_log": True}'})
        tasks = HERE + "/../roles/postgres/tasks"
        users = set()
        for name in os.listdir(tasks):
            with open("%s/%s" % (tasks, name), encoding="utf-8") as file:
                users |= {name} if "cipher" in file.read() else set()
        self.assertEqual(users, {"archive.yml", "restore.yml"})
        with open(HERE + "/../site.yml", encoding="utf-8") as file:
            self.assertNotIn("cipher", file.read())


# As pgBackRest 2.55.1 prints them. The first is what another key decrypts to.
GARBAGE = (
    "[FormatError] unable to load info file '/orders/backup/orders/backup.info' or '/orders/backup/orders/backup.info.copy':\n"
    "FormatError: key/value found outside of section at line 1: $\ufffdemW\x01\ufffd\nHINT: has a stanza-create been performed?"
)
UNFLUSHED = GARBAGE.replace("FormatError: key", "CryptoError: unable to flush\nHINT: is or was the repo encrypted?\nx: key")
HEADER = (
    "[CryptoError] unable to load info file '/r' or '/r.copy':\nCryptoError: cipher header invalid\n"
    "HINT: is or was the repo encrypted?"
)
SALTED = "ERROR: [029]: unable to load info file '/r':\nFormatError: key/value found outside of section at line 1: Salted__x\x1f"


class Errors(unittest.TestCase):
    def test_name_the_key_or_the_cipher(self):
        for said, conf, expected in [
            (GARBAGE, COMPLETE, "/orders in bucket acme cannot be decrypted with backup-cipher-key: it was written with another key"),
            (UNFLUSHED, COMPLETE, "cannot be decrypted with backup-cipher-key"),
            (HEADER, COMPLETE, "/orders in bucket acme is not encrypted, and `backup.cipher` says that it is"),
            (SALTED, PLAIN, "/orders in bucket acme is encrypted. Set `backup.cipher`"),
            (GARBAGE, PLAIN, "pgBackRest failed"),
        ]:
            with self.subTest(expected):
                self.assertIn(expected, explain_failure(29, said, conf))

    def test_of_a_restore_name_its_inputs(self):
        source = Source("acme", "/orders", "orders")
        self.assertIn("cannot be decrypted with restore-cipher-key", explain(source, COMPLETE, GARBAGE))
        said = explain(source, PLAIN, SALTED)
        self.assertIn("Set `restore.from.cipher` in the cluster file, and give restore-cipher-key", said)

    def test_are_read_although_they_quote_what_is_no_text(self):
        status = '"status":{"code":99,"message":"other"}'
        message = GARBAGE.replace("\n", "\\n")
        text = '[{"name":"orders","repo":[{"status":{"code":99,"message":"%s"}}],%s}]' % (message, status)
        self.assertIn("cannot be decrypted with backup-cipher-key", parse_info(text, "orders", COMPLETE)["problem"])


if __name__ == "__main__":
    unittest.main()
