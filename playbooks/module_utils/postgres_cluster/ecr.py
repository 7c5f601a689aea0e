"""The login to Amazon ECR that a node's instance profile is good for. Debian's amazon-ecr-credential-helper requests it
with the credentials of the instance metadata service; it is kept in memory, for one request to Docker."""

from __future__ import annotations

import json
import re
import tempfile
from typing import Dict

from .command import Problem, run
from .files import read_text

PACKAGE = "amazon-ecr-credential-helper"
HELPER = "docker-credential-ecr-login"
# Narrower than the helper (ecr-login/api/client.go), which takes any word for the region: `s3` would be a bucket's host.
# Public images, public.ecr.aws, need no login.
REGISTRY = re.compile(
    r"[0-9]{12}\.dkr\.ecr(?P<fips>-fips)?\.(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2})\.amazonaws\.com(?P<china>\.cn)?",
    re.ASCII,
)
POLICY = "AmazonEC2ContainerRegistryPullOnly"
UNTRUSTED = re.compile(r"AssumeRoleUnauthorizedAccess")
METADATA = re.compile(r"EC2 IMDS|ec2imds", re.IGNORECASE)
DENIED = re.compile(r"AccessDenied|not authorized", re.IGNORECASE)
THROTTLED = re.compile(r"ThrottlingException")
NETWORK = re.compile(r"request send failed|did not end within", re.IGNORECASE)


class NoLogin(Problem):
    """The profile gave no login. `is_passing`: it may in a moment."""

    def __init__(self, message: str, log: str, is_passing: bool) -> None:
        super().__init__(message, log)
        self.is_passing = is_passing


def is_private(registry: str) -> bool:
    """Whether a host is one of Amazon ECR's that require a login."""
    return REGISTRY.fullmatch(registry) is not None


def read_login(registry: str, seconds: float) -> Dict[str, str]:
    """Returns the username and password for a registry of Amazon ECR. Raises NoLogin if the node gets none within
    `seconds`, or Problem if the helper is not installed."""
    # The helper answers every failure with one and the same sentence, and writes the cause to its log.
    with tempfile.TemporaryDirectory(prefix="postgres-cluster-") as folder:
        environment = {"AWS_ECR_DISABLE_CACHE": "1", "AWS_ECR_CACHE_DIR": folder}
        try:
            result = run([HELPER, "get"], stdin=registry, timeout=seconds, env=environment, check=False)
        except Problem as problem:
            if NETWORK.search(problem.message):
                raise explain(registry, problem.message)
            raise
        log = read_text("%s/log/ecr-login.log" % folder) or result.stderr
    if result.returncode != 0:
        errors = [line for line in log.splitlines() if "level=error" in line]
        raise explain(registry, "\n".join(errors) or log)
    try:
        answer = json.loads(result.stdout)
        return {"username": answer["Username"], "password": answer["Secret"]}
    except (ValueError, KeyError, TypeError):
        # Without what it wrote: that may be a secret.
        raise Problem("%s returned no login for %s" % (HELPER, registry))


def explain(registry: str, log: str) -> NoLogin:
    """The usual causes, each with what to do about it."""
    # The metadata service reports this one, so the log names that, too.
    if UNTRUSTED.search(log):
        is_passing, cause = True, (
            "EC2 may not assume the role of its instance profile. Let the role trust ec2.amazonaws.com"
        )
    elif METADATA.search(log) and "StatusCode: 404" in log:
        is_passing, cause = True, (
            "it has no instance profile, or one without a role. Look at the instance's IAM role in EC2, and at "
            "instance-profile"
        )
    elif METADATA.search(log):
        is_passing, cause = True, (
            "the instance metadata service does not answer. Check that it is enabled for the instance, and that no "
            "firewall of the node blocks 169.254.169.254"
        )
    elif DENIED.search(log):
        is_passing, cause = False, (
            "the role of its instance profile lacks ecr:GetAuthorizationToken. Attach the policy %s to the role" % POLICY
        )
    elif THROTTLED.search(log):
        is_passing, cause = True, "Amazon ECR limits how often it is asked for one. Wait"
    elif NETWORK.search(log):
        is_passing, cause = True, (
            "it does not reach %s. Check its route to the internet, or the VPC endpoints ecr.api, "
            "ecr.dkr and s3 with their security groups" % find_endpoint(registry)
        )
    else:
        is_passing, cause = False, "%s failed, and its log says why. Fix that" % HELPER
    return NoLogin("this node gets no login to %s: %s, then run this again" % (registry, cause), log[-4000:], is_passing)


def find_endpoint(registry: str) -> str:
    """Returns the host that gives the logins to a registry (AWS General Reference, "Amazon ECR endpoints and quotas")."""
    found = REGISTRY.fullmatch(registry)
    if found is None:
        raise ValueError("%s is no registry of Amazon ECR" % registry)
    service = "ecr-fips" if found["fips"] else "api.ecr"
    return "%s.%s.amazonaws.com%s" % (service, found["region"], found["china"] or "")
