"""What is wrong where pgBackRest fails, in a sentence with the next step (pgBackRest: src/build/error/error.yaml; Amazon S3
API Reference, "Error responses")."""

from __future__ import annotations

import re
from typing import List, Tuple

# Exit codes.
FILE_INVALID = 28
PATH_NOT_EMPTY = 40
LOCK_ACQUIRE = 50
FILE_MISSING = 55
DATABASE_CONNECT = 56
# How much of a message is quoted that is not known.
MAX_QUOTE = 200

# (pattern of the output, sentence about %(bucket)s, %(endpoint)s and %(path)s). The first that matches counts.
TEXTS: List[Tuple[str, str]] = [
    (
        r"role to retrieve temporary credentials not found|role '.*' not found",
        "the instance has no role to read and write %(bucket)s with. Apply the plan, which attaches one, and run this again; "
        "with an instance profile of your own, check that it exists and has a role",
    ),
    (
        r"169\.254\.169\.254",
        "the instance's metadata service, which provides the credentials for %(bucket)s, does not answer, or "
        "refuses. Check that the instance has it enabled, then run this again",
    ),
    (
        r"<Code>NoSuchBucket</Code>",
        "%(bucket)s does not exist at %(endpoint)s. Create it, or correct `backup.bucket` in the cluster file",
    ),
    (
        r"<Code>(RequestTimeTooSkewed|RequestExpired)</Code>",
        "S3 refuses the request because this node's clock is wrong. Correct it (`timedatectl`), then run this again",
    ),
    (
        r"<Code>(InvalidAccessKeyId|ExpiredToken|InvalidToken|SignatureDoesNotMatch)</Code>",
        "S3 does not accept the credentials of the instance's role for %(bucket)s. Check that the role still exists; new "
        "credentials can take a few minutes, then run this again",
    ),
    (
        r"\bkms:[A-Z]\w+",
        "the role of the instance may not use the key that %(bucket)s encrypts with. Allow it to in the key's policy, or "
        "correct `backup.kms_key_id` in the cluster file",
    ),
    (
        r"HTTP request failed with 403",
        "access to %(path)s in %(bucket)s is denied. Check that the policy of the bucket, a permissions boundary and the "
        "policy of the instance's role allow it, then run this again",
    ),
    (
        r"HTTP request failed with (301|307|400)|<Code>(PermanentRedirect|AuthorizationHeaderMalformed)</Code>",
        "%(bucket)s is not at %(endpoint)s: it is in another region than the cluster, or `backup.endpoint` names another "
        "service",
    ),
    (
        r"unable to verify certificate|certificate verify failed|unable to find hostname|TLS error|No certificate presented",
        "%(endpoint)s presents no certificate that this node trusts. Install its authority's certificate on the nodes "
        "(update-ca-certificates), or correct `backup.endpoint` in the cluster file",
    ),
    (
        r"unable to get address for",
        "the name %(endpoint)s cannot be resolved on this node. Check `backup.endpoint` in the cluster file, and the DNS of "
        "the nodes' network",
    ),
    (
        r"unable to connect to|timeout connecting to|timeout after \d+ms|HostConnectError|unexpected eof|unable to open socket",
        "%(endpoint)s does not answer. Check that the nodes reach it (route, VPC endpoint, security group), then run this again",
    ),
    (
        r"\[(500|503)\]|HTTP request failed with 5\d\d|<Code>(SlowDown|InternalError|ServiceUnavailable)</Code>",
        "%(endpoint)s answers with an error of its own for %(bucket)s. Run this again in a few minutes",
    ),
    (
        r"cipher header (invalid|missing)",
        "%(path)s in %(bucket)s is not encrypted, and `backup.cipher` says that it is. Correct that in the cluster file, or give "
        "another folder (prefix)",
    ),
    (
        r"\bSalted__",
        "%(path)s in %(bucket)s is encrypted. Set `backup.cipher` in the cluster file, and give backup-cipher-key, the key that it "
        "was written with",
    ),
]

# What another key decrypts to has no form (infoNewLoad in pgBackRest's info.c): it is a few random bytes, which are quoted.
UNREADABLE = re.compile(r"unable to load info file(?s:.*)\b(Crypto|(Json)?Format|Checksum)Error:")
OTHER_KEY = (
    "%(path)s in %(bucket)s cannot be decrypted with backup-cipher-key: it was written with another key, or is damaged. Give the "
    "key that it was written with; a new repository with this key can begin in another folder (prefix)"
)

CODES = {
    FILE_INVALID: "%(path)s in %(bucket)s holds the backups of another database (system identifier), and they are not "
    "overwritten. Choose another `backup.prefix` in the cluster file, or, to get that data back, make a cluster with `restore`",
    PATH_NOT_EMPTY: "%(path)s in %(bucket)s holds files of an archive without its index. Choose another `backup.prefix` in the "
    "cluster file, or delete what is left there",
    FILE_MISSING: "%(path)s in %(bucket)s holds only a part of an archive's index. Choose another `backup.prefix` in the "
    "cluster file, or delete what is left there",
    LOCK_ACQUIRE: "another process of pgBackRest works on this cluster. Run this again when it has ended",
    DATABASE_CONNECT: "pgBackRest cannot connect to PostgreSQL in its container. Read the server's log, then run this again",
}


# What S3 and the metadata service say while a role is new.
ROLE = re.compile(
    r"role to retrieve temporary credentials not found|role '.*' not found|HTTP request failed with 403"
    r"|<Code>(InvalidAccessKeyId|ExpiredToken|InvalidToken)</Code>"
)


def is_about_role(said: str) -> bool:
    """Whether a failure may be that of a role that is not known everywhere yet."""
    return ROLE.search(said) is not None


def explain_failure(code: int, said: str, conf: str) -> str:
    """Returns why pgBackRest failed, without a full stop. `code`: its exit code, 0 if unknown; `said`: its messages; `conf`:
    the text of its configuration."""
    names = {
        "bucket": name_bucket(conf),
        "endpoint": read_option(conf, "repo1-s3-endpoint") or "S3",
        "path": read_option(conf, "repo1-path") or "/",
    }
    for pattern, sentence in TEXTS:
        if re.search(pattern, said):
            return sentence % names
    if read_option(conf, "repo1-cipher-type") and UNREADABLE.search(said):
        return OTHER_KEY % names
    if code in CODES:
        return CODES[code] % names
    lines = [re.sub(r"^.*?ERROR: \[\d+\]: ", "", line).strip() for line in said.splitlines() if line.strip()]
    detail = ": " + lines[0][:MAX_QUOTE] if lines else ""
    return "pgBackRest failed%s%s" % (" with exit code %d" % code if code else "", detail)


def name_bucket(conf: str) -> str:
    """Returns `bucket NAME` from the text of a pgbackrest.conf."""
    return "bucket %s" % (read_option(conf, "repo1-s3-bucket") or "of the backups")


def read_option(conf: str, name: str) -> str:
    """Returns the value of an option from the text of a pgbackrest.conf; '' without it."""
    found = re.search(r"^%s=(.*)$" % re.escape(name), conf, re.MULTILINE)
    return "" if found is None else found.group(1).strip()
