"""Run all tests: python3 -m unittest discover -s playbooks/tests"""

import base64
import hashlib
import hmac
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster import scram

# RFC 7677 §3: user "user", password "pencil".
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
AUTH_MESSAGE = (
    b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
CLIENT_PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


class Verifier(unittest.TestCase):
    def test_keys_of_the_rfc_example(self):
        verifier = scram.make_verifier("pencil", SALT, 4096)
        match = scram.VERIFIER.match(verifier)
        stored_key = base64.b64decode(match.group(3))
        server_key = base64.b64decode(match.group(4))

        signature = hmac.new(server_key, AUTH_MESSAGE, hashlib.sha256).digest()
        self.assertEqual(base64.b64encode(signature).decode(), SERVER_SIGNATURE)
        # ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage) (RFC 5802 §3).
        mask = hmac.new(stored_key, AUTH_MESSAGE, hashlib.sha256).digest()
        client_key = bytes(a ^ b for a, b in zip(base64.b64decode(CLIENT_PROOF), mask))
        self.assertEqual(hashlib.sha256(client_key).digest(), stored_key)

    def test_each_verifier_has_a_new_salt(self):
        self.assertNotEqual(scram.make_verifier("pencil"), scram.make_verifier("pencil"))


class Matches(unittest.TestCase):
    def test_compares_a_password_with_a_verifier(self):
        verifier = scram.make_verifier("pencil")
        for password, kept, expected in [
            ("pencil", verifier, True),
            ("pencils", verifier, False),
            ("pencil", scram.make_verifier("pencil", b"salt", 10000), True),
            ("pencil", None, False),
            ("pencil", "", False),
            ("pencil", "md5a3556571e93b0d20722ba62be61e8c2d", False),
            ("pencil", verifier[:-4], False),
        ]:
            with self.subTest(password=password, kept=kept):
                self.assertEqual(scram.matches(password, kept), expected)


class Prepare(unittest.TestCase):
    def test_saslprep(self):
        # The examples of RFC 4013 §3. PostgreSQL uses a prohibited password unchanged.
        for password, expected in [
            ("user", "user"),
            ("USER", "USER"),
            ("I\u00adX", "IX"),
            ("\u00aa", "a"),
            ("\u2168", "IX"),
            ("\u0007", "\u0007"),
            ("\u0627\u0031", "\u0627\u0031"),
            ("a\u00a0b", "a b"),
            ("gr\u00fc\u00df", "gr\u00fc\u00df"),
        ]:
            with self.subTest(password=password):
                self.assertEqual(scram.prepare(password), expected.encode("utf-8"))


if __name__ == "__main__":
    unittest.main()
