"""The PostgreSQL image of a node: its digest and its contents."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import uuid
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .attempts import Attempts
from .command import Problem, run
from .docker import inspect_image, pull_image
from .ecr import POLICY, NoLogin, is_private
from .files import read_json, write_text
from .packages import ensure_ecr_helper
from .registry import find_registry, has_login, uses_profile

CACHE = "/var/cache/postgres-cluster"
# Seconds before each further attempt at a pull.
PAUSES = (2, 8, 20)
# Errors that may pass. Any other error would be the same at the next attempt.
NETWORK = re.compile(
    r"time-?out|timed out|deadline exceeded|\bEOF\b|connection (refused|reset)|connection was forcibly|broken pipe"
    r"|no such host|temporary failure|server misbehaving|(network|host) is unreachable|no route to host"
    r"|request canceled|\b(500|502|503|504)\b|internal server error|bad gateway|service unavailable",
    re.IGNORECASE,
)
REFUSED = re.compile(r"unauthorized|authentication required|denied|no basic auth|forbidden|\b40[13]\b", re.IGNORECASE)
UNKNOWN = re.compile(r"manifest unknown|not found|no matching manifest|\b404\b", re.IGNORECASE)
RATE_LIMITED = re.compile(r"toomanyrequests|too many requests|\b429\b", re.IGNORECASE)


class Image(NamedTuple):
    """An image that is present on the node."""

    # By digest, `postgres@sha256:…`: a tag moves, and every node must run the same content.
    pinned: str
    # The user `postgres` in it: 999 in Debian's image, 70 in Alpine's. The data directory must be this user's.
    uid: int
    gid: int
    major: int
    # `glibc` or `musl`.
    libc: str
    # Paths that the image declares as volumes.
    volumes: List[str]

    @property
    def owner(self) -> Tuple[int, int]:
        """(uid, gid) of the user that runs PostgreSQL."""
        return (self.uid, self.gid)


def ensure_image(reference: str) -> Tuple[Image, bool]:
    """Pulls an image unless the node has it; returns it and whether it was pulled."""
    found = inspect_image(reference)
    pulled = found is None
    if found is None:
        pull(reference)
        found = inspect_image(reference)
    if found is None:
        raise Problem("Docker pulled %s but does not find it afterwards" % reference)
    return describe_image(reference, found), pulled


def pull(reference: str) -> None:
    """Pulls an image, with retries after network errors. Raises Problem with the attempts made."""
    attempts = Attempts(PAUSES)
    registry = find_registry(reference)
    if uses_profile(reference):
        ensure_ecr_helper()
    while True:
        try:
            error = pull_image(reference)
        except NoLogin as problem:
            # The metadata service learns of a profile a moment after EC2 does.
            if problem.is_passing and attempts.pause():
                continue
            raise
        if error is None:
            return
        if not NETWORK.search(error):
            raise Problem(_explain(reference, error), error)
        if not attempts.pause():
            raise Problem(
                "%s cannot be pulled: the way to %s failed %s. Check that this node reaches it (route, security "
                "group, proxy), then run this again" % (reference, registry, attempts),
                error,
            )


def _explain(reference: str, error: str) -> str:
    registry = find_registry(reference)
    if REFUSED.search(error) and uses_profile(reference):
        return (
            "%s refuses %s to the role of this node's instance profile. Allow the role ecr:BatchGetImage and "
            "ecr:GetDownloadUrlForLayer, e.g. with the policy %s; a repository of another account must allow it, too"
            % (registry, reference, POLICY)
        )
    if REFUSED.search(error):
        login = "with the login that was given" if has_login(reference) else "without a login"
        instead = "; without them nodes log in to Amazon ECR with an instance-profile" if is_private(registry) else ""
        return (
            "%s refuses %s %s. Check image, and registry-username and registry-password, which are for the "
            "registry of image%s" % (registry, reference, login, instead)
        )
    if UNKNOWN.search(error):
        return "%s does not have %s. Check image and image-tag" % (registry, reference)
    if RATE_LIMITED.search(error):
        return (
            "%s has limited how often %s can be pulled. Wait, or set registry-username and registry-password"
            % (registry, reference)
        )
    return "%s cannot be pulled" % reference


def describe_image(reference: str, found: Dict[str, Any]) -> Image:
    """Describes an image; `found` is Docker's inspection of it. Cached by image id."""
    pinned = pin(reference, found["Id"], found.get("RepoDigests") or [])
    path = "%s/image-%s.json" % (CACHE, found["Id"].split(":")[-1][:32])
    facts = read_json(path)
    if facts is None:
        facts = _read_facts(reference, found)
        os.makedirs(CACHE, exist_ok=True)
        write_text(path, json.dumps(facts, sort_keys=True))
    return Image(pinned=pinned, **facts)


def pin(reference: str, identifier: str, digests: List[str]) -> str:
    """Returns the reference by digest, e.g. `postgres@sha256:…`; the image's id if no registry has a digest of it."""
    named, _, asked = reference.partition("@")
    name = named.rsplit("/", 1)[-1]
    repository = named[: -len(name)] + name.split(":")[0]
    if asked:
        return "%s@%s" % (repository, asked)
    for digest in digests:
        if digest.split("@")[0] == repository:
            return digest
    return digests[0] if digests else identifier


def _read_facts(reference: str, found: Dict[str, Any]) -> Dict[str, Any]:
    config = found["Config"]
    environment = dict(entry.split("=", 1) for entry in config.get("Env") or [])
    major = environment.get("PG_MAJOR", "")
    if not major.isdigit():
        raise Problem(
            "image %s does not say in PG_MAJOR which PostgreSQL it holds; "
            "use the official image or one built on it" % reference
        )
    # Files can be read from a container that is created but not started.
    name = "postgres-cluster-look-%s" % uuid.uuid4().hex[:12]
    run(["docker", "create", "--name", name, "--network", "none", found["Id"], "true"], timeout=60)
    try:
        users = _read_member(name, "/etc/passwd")
        system = _read_member(name, "/etc/os-release")
    finally:
        run(["docker", "rm", "--force", "--volumes", name], check=False, timeout=60)
    uid, gid = find_user(users, reference)
    return {
        "uid": uid,
        "gid": gid,
        "major": int(major),
        "libc": find_libc(system),
        "volumes": sorted(config.get("Volumes") or {}),
    }


def _read_member(container: str, path: str) -> str:
    # `docker cp` writes a tar; -L because os-release is a link. Bytes, so not through run().
    result = subprocess.run(
        ["docker", "cp", "-L", "%s:%s" % (container, path), "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    if result.returncode != 0:
        raise Problem("%s cannot be read from the image" % path, result.stderr.decode("utf-8", "replace"))
    with tarfile.open(fileobj=io.BytesIO(result.stdout)) as archive:
        member: Optional[Any] = archive.extractfile(archive.getmembers()[0])
        return "" if member is None else member.read().decode("utf-8", "replace")


def find_user(passwd: str, reference: str) -> Tuple[int, int]:
    """Returns (uid, gid) of `postgres` from the text of an /etc/passwd."""
    for line in passwd.splitlines():
        fields = line.split(":")
        if fields[0] == "postgres" and len(fields) > 3:
            return int(fields[2]), int(fields[3])
    raise Problem("image %s has no user `postgres`; use the official image or one built on it" % reference)


def find_libc(os_release: str) -> str:
    """Returns `musl` or `glibc` from the text of an /etc/os-release: Alpine's images have musl, Debian's glibc."""
    return "musl" if any(line.strip() in ("ID=alpine", 'ID="alpine"') for line in os_release.splitlines()) else "glibc"
