import base64
import hashlib
import hmac
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import boot, guard, peer, scram, server
from postgres_cluster.peer import Peer, Refused


class Decision(unittest.TestCase):
    """Invariant 6: never two primaries. A primary that boots asks whether it still is one."""

    def decide(self, answers, timeline=3, is_known=True):
        """`answers`: by address, the answer in each second; the last one repeats. Returns the reason and the seconds."""
        now = [0.0]

        def ask(address):
            said = answers[address]
            answer = said[min(int(now[0]), len(said) - 1)]
            if answer is Refused:
                raise Refused()
            if isinstance(answer, Refused):
                raise answer
            return answer

        def sleep(seconds):
            now[0] += seconds

        with mock.patch("builtins.print"):
            reason = guard.find_successor(
                list(answers), ask, "7", timeline, is_known, clock=lambda: now[0], sleep=sleep
            )
        return reason, now[0]

    def test_which_answers_show_a_takeover(self):
        replica, other = Peer("7", 3, False), Peer("8", 9, True)
        for name, answers, expected, seconds in [
            ("it is alone", {}, None, 0),
            ("its replicas answer", {"a": [replica], "b": [replica]}, None, 0),
            ("another primary of a later timeline", {"a": [Peer("7", 4, True)]}, "a is a primary on timeline 4", 0),
            ("another primary of the same", {"a": [Peer("7", 3, True)]}, "a is a primary", 0),
            ("a former primary that came up as well", {"a": [Peer("7", 2, True)]}, None, 0),
            ("a replica of another primary", {"a": [Peer("7", 4, False)]}, "a follows a primary on timeline 4", 0),
            ("a replica that is behind", {"a": [Peer("7", 2, False)]}, None, 0),
            ("another cluster at that address", {"a": [other]}, None, 0),
            ("a peer that boots as well", {"a": [None] * 20 + [Peer("7", 4, True)]}, "a is a primary", 20),
            ("a second peer answers soon after the first",
             {"a": [replica], "b": [None] * 3 + [Peer("7", 4, True)]}, "b is a primary", 3),
            ("a replica that is down costs a few seconds", {"a": [replica], "b": [None]}, None, guard.GRACE_SECONDS),
            ("all others are gone", {"a": [None], "b": [None]}, None, guard.NO_ANSWER_SECONDS),
            ("all peers refuse it", {"a": [Refused], "b": [Refused]}, "does not let this node replicate", 0),
            ("the next primary refuses it, a replica does not yet", {"a": [Refused], "b": [replica]},
             "a does not let this node replicate", 0),
            ("one replica does not have the new password yet", {"a": [Refused(True)], "b": [replica]}, None, 0),
            ("the next primary has changed the password", {"a": [Refused(True)], "b": [Refused(True)]},
             "has another replication password", 0),
        ]:
            with self.subTest(name):
                reason, took = self.decide(answers)
                self.assertEqual(took, seconds)
                if expected is None:
                    self.assertIsNone(reason)
                else:
                    self.assertIn(expected, reason or "")

    def test_a_new_machine_that_all_peers_refuse_is_still_the_primary(self):
        """Its peers have the address of the previous machine."""
        self.assertIsNone(self.decide({"a": [Refused], "b": [Refused]}, is_known=False)[0])
        later = Peer("7", 4, True)
        self.assertIn("is a primary on timeline 4", self.decide({"a": [Refused], "b": [later]}, is_known=False)[0])


class Data(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.package = os.path.join(self.root, "postgres_cluster")

    def install(self):
        """Installs the guard as on a node, with the data in a folder of this test."""
        os.mkdir(self.package)
        for path, text in boot.list_files().items():
            if path.startswith(boot.PACKAGE):
                text = text.replace('"/var/lib/postgresql-cluster"', repr(self.root))
                with open(os.path.join(self.package, os.path.basename(path)), "w") as file:
                    file.write(text)

    def write(self, name, text=""):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def run_guard(self):
        code = "import os; os.fchown = lambda *_: None; from postgres_cluster import guard; guard.main()"
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True, timeout=60,
        )
        self.assertEqual(result.stderr, "")
        return result.stdout

    def test_its_files_are_those_of_existing_nodes(self):
        # Nodes compare them with theirs: any change makes every existing node unready. Change the digest knowingly.
        texts = "".join("%s\n%s" % item for item in sorted(boot.list_files().items()))
        digest = hashlib.sha256(texts.encode("utf-8")).hexdigest()
        self.assertEqual(digest, "80ece3922ddafd9ade643ec5c996c99a1e86d23b4d6fc4966290a88cd6fed467")

    def test_the_installed_guard_runs_on_its_own(self):
        self.install()
        command = re.search(r"^ExecStart=\S+ (.*)$", boot.UNIT_TEXT, re.MULTILINE).group(1).split()
        result = subprocess.run([sys.executable, *command], cwd=self.root, stdout=subprocess.PIPE, timeout=60)
        self.assertEqual((result.returncode, result.stdout), (0, b"no primary's data here\n"))

    def test_a_former_primary_is_fenced(self):
        self.install()
        self.write("record.json", '{"systemIdentifier": "7"}')
        self.write("etc/replication.pass", server.render_passfile("se:cret\\"))
        self.write("data/pg_wal/000000010000000000000003")
        with FakeServer("se:cret\\", Peer("7", 2, True)) as successor:
            # In this test the other node has this node's address.
            self.write("etc/pg_hba.conf", "host replication replicator 127.0.0.1/32 scram-sha-256\n")
            with open(os.path.join(self.package, "guard.py"), "a") as file:
                file.write("\nis_own = lambda address: False\n")
            with open(os.path.join(self.package, "peer.py"), "a") as file:
                file.write("\nPORT = %d\n" % successor.port)
            said = self.run_guard()
            self.assertIn("127.0.0.1 is a primary on timeline 2, this node was on 1", said)
            self.assertEqual(
                sorted(os.listdir(self.root + "/data")),
                ["pg_wal", "postgres-cluster.former-primary", "standby.signal"],
            )
            self.assertIn("no primary's data here", self.run_guard())

    def test_the_unit_runs_before_docker(self):
        unit = boot.list_files()[boot.UNIT]
        self.assertIn("\nBefore=docker.service\n", unit)
        self.assertIn("\nWorkingDirectory=%s\n" % os.path.dirname(boot.PACKAGE), unit)

    def test_peers_and_password_are_read_from_the_files_of_the_steps(self):
        hba = "local all postgres peer\nhost replication replicator 10.0.0.1/32 scram-sha-256\nhost all all 10.0.0.9/32 x\n"
        self.assertEqual(guard.list_addresses(hba), ["10.0.0.1"])
        for password in ("plain", "with:colon\\and backslash"):
            self.assertEqual(guard.read_password(server.render_passfile(password)), password)
        self.assertIsNone(guard.read_password(""))
        self.assertTrue(guard.is_own("127.0.0.1"))
        self.assertFalse(guard.is_own("192.0.2.1"))


class Scram(unittest.TestCase):
    def test_the_example_of_rfc_7677(self):
        final, signature = peer.answer_challenge(
            "pencil",
            b"n=user,r=rOprNGfwEbeRWgbNEkqO",
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        )
        self.assertTrue(final.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
        self.assertEqual(signature, b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")

    def test_another_nonce_and_too_many_iterations_are_refused(self):
        for challenge in (b"r=zzz,s=AAAA,i=4096", b"r=abcd,s=AAAA,i=99999999", b"r=abcd,s=AAAA,i=0"):
            with self.subTest(challenge), self.assertRaises(ValueError):
                peer.answer_challenge("pencil", b"n=,r=abc", challenge)


class Asking(unittest.TestCase):
    def ask(self, fake, password="secret"):
        with fake, mock.patch.object(peer, "PORT", fake.port):
            return peer.ask_peer("127.0.0.1", password)

    def test_the_identity_of_a_server_is_read(self):
        for said in (Peer("7123456789012345678", 4, True), Peer("7", 1, False)):
            self.assertEqual(self.ask(FakeServer("secret", said)), said)

    def test_a_wrong_password_is_refused(self):
        with self.assertRaises(Refused):
            self.ask(FakeServer("secret", Peer("7", 1, True)), "yesterday's")

    def test_a_server_that_cannot_sign_is_not_believed(self):
        self.assertIsNone(self.ask(FakeServer("secret", Peer("7", 9, True), signature=b"v=AAAA")))

    def test_a_starting_server_or_garbage_is_no_answer(self):
        for greeting in (b"E\0\0\0\x0bC57P03\0\0", b"X" * 40, b"", b"R\x7f\xff\xff\xff"):
            with self.subTest(greeting):
                self.assertIsNone(self.ask(FakeServer("secret", Peer("7", 1, True), greeting=greeting)))

    def test_no_server_is_no_answer(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with mock.patch.object(peer, "PORT", unused.getsockname()[1]):
                self.assertIsNone(peer.ask_peer("127.0.0.1", "secret"))


class FakeServer:
    """A minimal PostgreSQL server for replication connections, one at a time."""

    def __init__(self, password, said, signature=None, greeting=None):
        self.said, self.signature, self.greeting = said, signature, greeting
        self.verifier = scram.VERIFIER.match(scram.make_verifier(password)).groups()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        # Also ends accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self.talk(connection)
                except (OSError, ValueError):
                    pass

    def talk(self, connection):
        startup = connection.recv(4096)
        assert b"\0replication\0true\0" in startup, startup
        if self.greeting is not None:
            connection.sendall(self.greeting)
            return
        iterations, salt, stored, server_key = self.verifier
        send(connection, b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0")
        bare = re.search(rb"n,,(n=.*)", connection.recv(4096)).group(1)
        nonce = bare.split(b"r=")[1] + b"more"
        challenge = b"r=%s,s=%s,i=%s" % (nonce, salt.encode(), iterations.encode())
        send(connection, b"R", struct.pack("!i", 11) + challenge)
        final = connection.recv(4096)[5:]
        without_proof, proof = final.split(b",p=")
        message = b",".join([bare, challenge, without_proof])
        mask = hmac.new(base64.b64decode(stored), message, hashlib.sha256).digest()
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), mask))
        if hashlib.sha256(key).digest() != base64.b64decode(stored):
            send(connection, b"E", b"SFATAL\0C28P01\0Mpassword authentication failed\0\0")
            return
        signed = hmac.new(base64.b64decode(server_key), message, hashlib.sha256).digest()
        send(connection, b"R", struct.pack("!i", 12) + (self.signature or b"v=" + base64.b64encode(signed)))
        send(connection, b"R", struct.pack("!i", 0))
        send(connection, b"S", b"in_hot_standby\0%s\0" % (b"off" if self.said.is_primary else b"on"))
        send(connection, b"Z", b"I")
        if not connection.recv(4096).endswith(b"IDENTIFY_SYSTEM\0"):
            return
        send(connection, b"T", b"\0\4")
        columns = [self.said.system_identifier.encode(), b"%d" % self.said.timeline, b"0/3000148"]
        fields = b"".join(struct.pack("!i", len(column)) + column for column in columns)
        send(connection, b"D", struct.pack("!h", 4) + fields + struct.pack("!i", -1))
        send(connection, b"C", b"IDENTIFY_SYSTEM\0")
        send(connection, b"Z", b"I")


def send(connection, kind, body):
    connection.sendall(kind + struct.pack("!i", len(body) + 4) + body)


if __name__ == "__main__":
    unittest.main()
