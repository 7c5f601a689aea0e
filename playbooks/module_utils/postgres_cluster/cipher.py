"""The key that pgBackRest encrypts a repository with. It comes with each run and stays in files that only PostgreSQL's user can
read: what is compared, reported or shown never has it."""

from __future__ import annotations

import hmac
import os
import re
from typing import Optional, Tuple

from .backrest_errors import name_bucket, read_option
from .backup_layout import BACKREST_CONF
from .command import Problem
from .files import read_text, write_text
from .layout import ETC

TYPE = "repo1-cipher-type"
PASS = "repo1-cipher-pass"
# As src/inputs/cipher-keys.ts: the format has no escapes.
KEY = re.compile(r"[A-Za-z0-9+/=_-]{32,256}")
LINE = re.compile(r"^[ \t]*%s[ \t]*=.*(?:\n|\Z)" % PASS, re.MULTILINE)


def add_key(conf: str, key: Optional[str], name: str = "backup-cipher-key") -> str:
    """Returns the text of a pgbackrest.conf with the key if the repository is encrypted. `name`: of the input.

    Raises Problem without a key: pgBackRest would refuse each command.
    """
    if not read_option(conf, TYPE):
        return conf
    if not KEY.fullmatch(key or ""):
        raise Problem("%s is encrypted, and its key was not given: set %s; nothing was changed" % (name_bucket(conf), name))
    return re.sub(r"^(%s=.*)$" % TYPE, lambda found: "%s\n%s=%s" % (found.group(1), PASS, key), conf, count=1, flags=re.MULTILINE)


def remove_key(conf: Optional[str]) -> Optional[str]:
    """Returns the text of a pgbackrest.conf without the key; None for None."""
    return None if conf is None else LINE.sub("", conf)


def is_key_current(conf: Optional[str], key: Optional[str]) -> Optional[bool]:
    """Whether a pgbackrest.conf has this key; None if it names no cipher, or if no key was given."""
    if not key or not read_option(conf or "", TYPE):
        return None
    return hmac.compare_digest(read_option(conf or "", PASS).encode("utf-8"), key.encode("utf-8"))


def require_same(before: str, conf: str) -> None:
    """Raises Problem if the repository, which both texts name, has another cipher or another key than `conf` says. pgBackRest
    encrypts a whole repository with the key that it began with."""
    if read_option(before, TYPE) == read_option(conf, TYPE) and hmac.compare_digest(
        read_option(before, PASS).encode("utf-8"), read_option(conf, PASS).encode("utf-8")
    ):
        return
    raise Problem(
        "%s in %s has another cipher or another key (`backup.cipher`, backup-cipher-key) than is asked for, and pgBackRest cannot "
        "change them; nothing was changed. Give those that it began with, or another `backup.prefix`, where a new repository "
        "begins" % (read_option(conf, "repo1-path") or "/", name_bucket(conf))
    )


def write_conf(path: str, conf: str, owner: Tuple[int, int]) -> bool:
    """Writes a pgbackrest.conf; returns whether anything changed. With a key only the user that runs PostgreSQL can read it, as
    pgBackRest runs in its container as well. `owner`: (uid, gid) of that user."""
    return write_text(path, conf, 0o600, owner) if read_option(conf, PASS) else write_text(path, conf)


def give_conf(owner: Tuple[int, int]) -> None:
    """Gives a pgbackrest.conf with a key to the user that runs PostgreSQL from now on: another image may have another."""
    path = "%s/%s" % (ETC, BACKREST_CONF)
    conf = read_text(path)
    if conf is not None and read_option(conf, PASS):
        status = os.stat(path)
        if (status.st_uid, status.st_gid) != owner:
            os.chown(path, *owner)
