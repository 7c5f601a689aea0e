"""The login to Amazon ECR with a node's instance profile. Run by `npm test`."""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "module_utils"))

from postgres_cluster import attempts, docker, ecr, image, packages, registry
from postgres_cluster.command import Problem

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
REFERENCE = HOST + "/team/postgres:17"
SECRET = "eyJwYXlsb2FkIjoi correct horse"
HELPER = """#!/bin/sh
read -r server
echo "$# $1 $server $AWS_ECR_DISABLE_CACHE $AWS_ECR_CACHE_DIR" >>"$TEST_FOLDER/asked"
mkdir "$AWS_ECR_CACHE_DIR/log"
cp "$TEST_FOLDER/log" "$AWS_ECR_CACHE_DIR/log/ecr-login.log"
cat "$TEST_FOLDER/answer"
exit "$(cat "$TEST_FOLDER/code")"
"""
# As versions 0.6.0 (Debian 12) and 0.7.1 (Debian 13) write them.
FAILURE = 'time="…" level=debug msg="Calling ECR.GetAuthorizationToken"\ntime="…" level=error msg="Error retrieving credentials" error="ecr: Failed to get authorization token: operation error ECR: GetAuthorizationToken, %s"\n'
NO_PROFILE = FAILURE % (
    "failed to sign request: failed to retrieve credentials: failed to refresh cached credentials, no EC2 IMDS role found, "
    "operation error ec2imds: GetMetadata, http response error StatusCode: 404, request to EC2 IMDS failed"
)
NO_METADATA = FAILURE % (
    "exceeded maximum number of attempts, 3, failed to sign request: failed to retrieve credentials: failed to refresh "
    "cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, exceeded maximum number of attempts, "
    '3, request send failed, Get \\"http://169.254.169.254/latest/meta-data/iam/security-credentials/\\": dial tcp: timeout'
)
NO_TRUST = FAILURE % (
    "get identity: get credentials: failed to refresh cached credentials, failed to get postgres-nodes EC2 IMDS role "
    "credentials, api error AssumeRoleUnauthorizedAccess: EC2 cannot assume the role postgres-nodes."
)
THROTTLED = FAILURE % (
    "exceeded maximum number of attempts, 3, https response error StatusCode: 400, RequestID: x, api error "
    "ThrottlingException: Rate exceeded"
)
DENIED = FAILURE % (
    "https response error StatusCode: 400, RequestID: x, api error AccessDeniedException: User: arn:aws:sts::1:assumed-role/n/i "
    "is not authorized to perform: ecr:GetAuthorizationToken on resource: *"
)
NO_ROUTE = FAILURE % (
    "exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , request send failed, "
    'Post \\"https://api.ecr.eu-central-1.amazonaws.com/\\": dial tcp 192.0.2.1:443: i/o timeout'
)


class Ecr(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        helper = os.path.join(self.folder, ecr.HELPER)
        with open(helper, "w") as file:
            file.write(HELPER)
        os.chmod(helper, 0o755)
        path = "%s:%s" % (self.folder, os.environ["PATH"])
        self.patch(mock.patch.dict(os.environ, {"PATH": path, "TEST_FOLDER": self.folder}))
        self.patch(mock.patch.object(image, "PAUSES", (0, 0, 0)))
        self.requests = []
        self.answers = []
        self.patch(mock.patch.object(docker, "_request", self.request))
        self.addCleanup(registry.use_login, "postgres:17", None, None)
        registry.use_login(REFERENCE, None, None, True)
        self.let_answer()

    def patch(self, patch):
        patch.start()
        self.addCleanup(patch.stop)

    def let_answer(self, code=0, log="", answer=None):
        """Makes the helper end like this from now on."""
        if answer is None:
            answer = json.dumps({"ServerURL": HOST, "Username": "AWS", "Secret": SECRET}) if code == 0 else "not found"
        for name, text in [("code", str(code)), ("log", log), ("answer", answer)]:
            with open(os.path.join(self.folder, name), "w") as file:
                file.write(text)

    def request(self, method, path, timeout, document=b"", headers=None):
        self.requests.append((path.split("?")[0], headers))
        return self.answers.pop(0) if self.answers else (200, b'{"Descriptor": {"digest": "sha256:1"}}')

    def list_logins(self):
        """What each request to Docker carried."""
        return [
            json.loads(base64.urlsafe_b64decode(headers["X-Registry-Auth"])) if headers else None
            for _, headers in self.requests
        ]

    def list_asked(self):
        try:
            with open(os.path.join(self.folder, "asked")) as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def test_goes_to_the_registry_of_the_image_only_and_is_requested_each_time(self):
        image.pull(REFERENCE)
        self.assertEqual(docker.resolve_digest(HOST + "/team/postgres:18"), "sha256:1")
        other = HOST.replace("123456789012", "999999999999") + "/team/postgres:17"
        image.pull(other)
        image.pull("postgres:17")
        login = {"username": "AWS", "password": SECRET, "serveraddress": HOST}
        self.assertEqual(self.list_logins(), [login, login, None, None])
        self.assertEqual(len(self.list_asked()), 2)

    def test_nothing_is_cached_and_nothing_is_left(self):
        image.pull(REFERENCE)
        [asked] = self.list_asked()
        *words, folder = asked.split(" ")
        self.assertEqual(words, ["1", "get", HOST, "1"])
        self.assertFalse(os.path.exists(folder))

    def test_a_password_comes_first_and_other_registries_have_no_profile(self):
        for reference, password, profile, login in [
            (REFERENCE, "correct horse", True, "correct horse"),
            (REFERENCE, None, False, None),
            ("public.ecr.aws/docker/library/postgres:17", None, True, None),
            (HOST + ".evil.example/postgres:17", None, True, None),
            (HOST + ":444/postgres:17", None, True, None),
            ("postgres:17", None, True, None),
        ]:
            with self.subTest(reference, password=password):
                registry.use_login(reference, "robot", password, profile)
                image.pull(reference)
                last = self.list_logins()[-1]
                self.assertEqual(last and last["password"], login)
        self.assertEqual(self.list_asked(), [])

    def test_registries_that_require_a_login(self):
        for host, expected in [
            (HOST, True),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", True),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", True),
            ("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", True),
            ("public.ecr.aws", False),
            ("12345.dkr.ecr.us-east-1.amazonaws.com", False),
            ("123456789012.dkr.ecr.evil.example.amazonaws.com", False),
            # A bucket's host.
            ("123456789012.dkr.ecr.s3.amazonaws.com", False),
            ("123456789012.dkr.ecr.us-east-١.amazonaws.com", False),
            ("١٢٣٤٥٦٧٨٩٠١٢.dkr.ecr.us-east-1.amazonaws.com", False),
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com\n", False),
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example", False),
        ]:
            with self.subTest(host):
                self.assertEqual(ecr.is_private(host), expected)

    def test_each_cause_has_its_next_step(self):
        for log, asked, words in [
            (NO_PROFILE, 4, "no instance profile, or one without a role.*instance-profile"),
            (NO_TRUST, 4, r"EC2 may not assume the role of its instance profile\. Let the role trust ec2\.amazonaws\.com, then"),
            (NO_METADATA, 4, "metadata service does not answer.*169.254.169.254"),
            (DENIED, 1, "lacks ecr:GetAuthorizationToken.*AmazonEC2ContainerRegistryPullOnly"),
            (NO_ROUTE, 4, r"does not reach api\.ecr\.eu-central-1\.amazonaws\.com.*VPC endpoints"),
            (THROTTLED, 4, "limits how often.*Wait"),
            (FAILURE % "something else", 1, "its log says why"),
        ]:
            with self.subTest(words):
                before = len(self.list_asked())
                self.let_answer(1, log)
                with self.assertRaises(Problem) as raised:
                    image.pull(REFERENCE)
                self.assertRegex(raised.exception.message, "gets no login to %s: .*%s.*run this again$" % (HOST, words))
                self.assertRegex(raised.exception.log, "^time=.* level=error [^\n]*$")
                self.assertEqual(len(self.list_asked()) - before, asked)
        self.assertEqual(self.requests, [])

    def test_the_endpoint_is_the_one_of_the_registry(self):
        for host, endpoint in [
            (HOST, "api.ecr.eu-central-1.amazonaws.com"),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn"),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "ecr-fips.us-east-1.amazonaws.com"),
        ]:
            with self.subTest(host):
                self.assertIn(" does not reach %s. " % endpoint, ecr.explain(host, NO_ROUTE).message)

    def test_a_login_that_comes_a_moment_later_is_used(self):
        self.let_answer(1, NO_PROFILE)
        with mock.patch.object(attempts.Attempts, "pause", lambda _: self.let_answer() or True):
            image.pull(REFERENCE)
        self.assertEqual(self.list_logins()[0]["password"], SECRET)

    def test_a_helper_that_hangs_is_no_route(self):
        with mock.patch.object(ecr, "run", side_effect=Problem("`docker-credential-ecr-login get` did not end within 120 s")):
            with self.assertRaisesRegex(Problem, "does not reach api"):
                image.pull(REFERENCE)

    def test_an_answer_that_is_no_login_is_not_shown(self):
        self.let_answer(answer=SECRET)
        with self.assertRaises(Problem) as raised:
            image.pull(REFERENCE)
        self.assertNotIn(SECRET, raised.exception.message + raised.exception.log)

    def test_an_image_that_the_role_may_not_pull(self):
        self.answers.append((403, b'{"message": "denied: User: x is not authorized to perform: ecr:BatchGetImage"}'))
        with self.assertRaisesRegex(Problem, "refuses .* to the role of this node's instance profile.*ecr:BatchGetImage"):
            image.pull(REFERENCE)

    def test_without_a_profile_the_message_names_the_input(self):
        registry.use_login(REFERENCE, None, None, False)
        self.answers.append((500, b'{"message": "Head \\"https://x\\": no basic auth credentials"}'))
        with self.assertRaisesRegex(Problem, "without a login.*with an instance-profile$"):
            image.pull(REFERENCE)

    def test_an_observation_installs_nothing_and_needs_no_login(self):
        os.remove(os.path.join(self.folder, ecr.HELPER))
        with mock.patch.object(packages, "install") as install:
            self.assertIsNone(docker.resolve_digest(REFERENCE))
            install.assert_not_called()
            with self.assertRaisesRegex(Problem, "not installed"):
                image.pull(REFERENCE)
            install.assert_called_once_with("amazon-ecr-credential-helper")


if __name__ == "__main__":
    unittest.main()
