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
# As the helper reads a host (ecr-login/api/client.go). Public images, public.ecr.aws, need no login.
REGISTRY = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
POLICY = "AmazonEC2ContainerRegistryPullOnly"
METADATA = re.compile(r"EC2 IMDS|ec2imds", re.IGNORECASE)
DENIED = re.compile(r"AccessDenied|not authorized", re.IGNORECASE)
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
    found = REGISTRY.fullmatch(registry)
    region = found.group(1) if found else ""
    if METADATA.search(log) and "StatusCode: 404" in log:
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
    elif NETWORK.search(log):
        is_passing, cause = True, (
            "it does not reach api.ecr.%s.amazonaws.com. Check its route to the internet, or the VPC endpoints ecr.api, "
            "ecr.dkr and s3 with their security groups" % region
        )
    else:
        is_passing, cause = False, "%s failed, and its log says why. Fix that" % HELPER
    return NoLogin("this node gets no login to %s: %s, then run this again" % (registry, cause), log[-4000:], is_passing)
