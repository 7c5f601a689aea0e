import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from cluster_runner.answer import InvalidAnswer, validate_answer
from cluster_runner.text import clean, clean_line

DIGEST = "sha256:" + "5b2137cbf9e2ac2d" * 4
IMAGE = {"image": "postgres:17", "digest": "postgres@" + DIGEST}


class Validation(unittest.TestCase):
    def test_valid_answers_are_unchanged(self):
        for module, answer in [
            ("cluster_host", {"changed": True, "done": ["Docker", "image"]}),
            ("cluster_grow", {"changed": True, "done": ["data volume 20 GiB → 40 GiB"]}),
            ("cluster_grow", {"failed": True, "msg": "too small", "waiting": "waiting until EC2 has grown it"}),
            ("cluster_observe", {"changed": False, "observation": {"name": "node-1"}}),
            ("cluster_proof", {"failed": True, "msg": "no", "proof": {"name": "node-1"}}),
            ("cluster_record", {"changed": False, "record": {}}),
            ("cluster_postgres", {"changed": False, "notes": [], "ansible_facts": {"postgres_running_image": IMAGE}}),
            ("cluster_postgres", {"changed": False, "pending": True, "ansible_facts": {"postgres_pending": True}}),
            ("cluster_postgres", {"ansible_facts": {"postgres_wal": {
                "size": 2**24, "timeline": 2, "ended": [{"timeline": 1, "end": "0/5000148"}],
                "oldest": "000000000000000C", "slots": [{"name": "node_2", "start": "1/E000060"}]}}}),
            ("cluster_postgres", {"role": None, "nonce": "0" * 32, "port": 40000, "promoted": None, "problem": None}),
        ]:
            with self.subTest(answer):
                self.assertEqual(validate_answer(module, "node-1", answer), answer)

    def test_every_kind_of_image_reference_is_valid(self):
        for image, digest in [
            ("postgres:17", DIGEST),
            ("ghcr.io/acme/postgres:17.6-bookworm", "ghcr.io/acme/postgres@" + DIGEST),
            ("registry.example:5000/postgres:17", "registry.example:5000/postgres@" + DIGEST),
            ("postgres:17@" + DIGEST, "postgres:17@" + DIGEST),
        ]:
            with self.subTest(image):
                answer = {"record": {"image": image, "digest": digest}}
                self.assertEqual(validate_answer("cluster_record", "node-1", answer), answer)

    def test_unknown_keys_are_dropped(self):
        answer = {
            "changed": False,
            "add_host": {"host_name": "node-2"},
            "skipped": True,
            "unreachable": True,
            "ansible_facts": {"private_address": "elsewhere", "ansible_host": "elsewhere", "postgres_role": "replica"},
        }
        expected = {"changed": False, "ansible_facts": {"postgres_role": "replica"}}
        self.assertEqual(validate_answer("cluster_postgres", "node-1", answer), expected)
        self.assertEqual(validate_answer("cluster_host", "node-1", answer), {"changed": False})

    def test_an_invalid_value_is_rejected_with_its_name(self):
        hostile = "{{ lookup('pipe', 'id') }}"
        for module, answer, words in [
            ("cluster_record", {"record": {"digest": hostile}}, "record.digest is"),
            ("cluster_record", {"record": {"digest": "-v"}}, "record.digest is"),
            ("cluster_record", {"record": {"digest": "postgres@" + DIGEST + "\n"}}, "record.digest is"),
            ("cluster_record", {"record": {"image": "--all-tags"}}, "record.image is"),
            ("cluster_record", {"record": hostile}, "record is"),
            (
                "cluster_postgres",
                {"ansible_facts": {"postgres_running_image": {"digest": hostile}}},
                "ansible_facts.postgres_running_image.digest is",
            ),
            ("cluster_postgres", {"ansible_facts": {"postgres_wal": {"ended": [{"end": hostile}]}}}, "ansible_facts.postgres_wal.ended"),
            ("cluster_postgres", {"ansible_facts": {"postgres_wal": {"slots": [{"start": hostile}]}}}, "ansible_facts.postgres_wal.slots"),
            ("cluster_postgres", {"ansible_facts": {"postgres_wal": {"oldest": hostile}}}, "ansible_facts.postgres_wal.oldest is"),
            ("cluster_postgres", {"ansible_facts": {"postgres_nonce": hostile}}, "ansible_facts.postgres_nonce is"),
            ("cluster_postgres", {"role": hostile}, "role is"),
            ("cluster_postgres", {"port": hostile}, "port is"),
            ("cluster_postgres", {"port": True}, "port is"),
            ("cluster_postgres", {"promoted": 1}, "promoted is"),
            ("cluster_postgres", {"pending": "yes"}, "pending is"),
            ("cluster_postgres", {"ansible_facts": {"postgres_pending": hostile}}, "ansible_facts.postgres_pending is"),
            ("cluster_postgres", {"notes": hostile}, "notes is"),
            ("cluster_postgres", {"notes": ["x"] * 1000}, "notes is"),
            ("cluster_observe", {"observation": {"name": "node-2"}}, 'observation.name is "node-2", expected node-1'),
            ("cluster_observe", {"observation": {"name": "node-1", "x": "x" * 5_000_000}}, "observation has"),
            ("cluster_proof", {"proof": {"name": ["node-1"]}}, "proof.name is"),
        ]:
            with self.subTest(words):
                with self.assertRaises(InvalidAnswer) as caught:
                    validate_answer(module, "node-1", answer)
                message = str(caught.exception)
                begin = "node-1 sent an answer that this action's modules never send: "
                self.assertTrue(message.startswith(begin + words), message)
                self.assertLess(len(message), 600)
                self.assertNotIn("\n", message)

    def test_text_is_cut_and_invisible_characters_are_shown(self):
        answer = validate_answer("cluster_host", "node-1", {"msg": "a\r\n::b\u2028c\u202e\x00", "log": "x" * 9000, "done": ["a\nb"]})
        self.assertEqual(answer["msg"], "a\n::b<U+2028>c<U+202E><U+0000>")
        self.assertEqual(len(answer["log"]), 4000)
        self.assertEqual(answer["done"], ["a b"])


class Text(unittest.TestCase):
    def test_invisible_characters_are_written_out(self):
        self.assertEqual(clean("plain ä 漢 \t\n", 100), "plain ä 漢 \t\n")
        self.assertEqual(clean("\x1b[31m\ud800\u200b", 100), "<U+001B>[31m<U+D800><U+200B>")
        self.assertEqual(clean_line(" a\n\n b\u2029"), "a b<U+2029>")


if __name__ == "__main__":
    unittest.main()
