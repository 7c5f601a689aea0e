"""Installs pgBackRest on the host, and a bundle of it that runs in the server's container.

No image has to contain pgBackRest. The container mounts TOOLS: Debian's program with the libraries and the loader that it
needs, so that it runs whatever C library the image has.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from typing import Dict, Optional

from . import archive_get, archive_push, backup_unit
from .backup_layout import BACKREST_CONF, BACKUP_JSON, TOOLS
from .command import Problem, run
from .files import make_directory, read_json, read_text, remove_file, sync_directory, write_text
from .layout import ETC
from .packages import install
from .spool import forget_pushed

# The first release whose package can do what the configuration asks for (block incremental backups, pgBackRest 2.46).
DEBIAN = 13
PACKAGE = "pgbackrest"
PROGRAM = "/usr/bin/pgbackrest"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# The copy, which pgbackrest.conf names.
CERTIFICATES_NAME = "ca-certificates.crt"
# Written last and removed first: what the bundle was made from.
VERSION = TOOLS + "/version.json"
# The program and its libraries are in a directory of their own for each version, so that the wrapper, which names it,
# replaces all of them at once. A program that started before keeps its open files.
FOLDER = TOOLS + "/lib-"
# glibc opens these by name when it looks up a host or a user (nss(5)); the first two are part of libc since 2.34.
OPENED_BY_NAME = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")

# `--argv0`: pgBackRest starts itself again by that name. The image may preload libraries that this loader cannot load, and
# configure modules that this OpenSSL does not have.
WRAPPER_TEXT = """#!/bin/sh
# pgBackRest of the host with its own loader and libraries. It starts itself again by the name of this file.
unset LD_PRELOAD LD_LIBRARY_PATH
OPENSSL_CONF=/dev/null
export OPENSSL_CONF
exec %(folder)s/loader --inhibit-cache --library-path %(folder)s --argv0 %(tools)s/pgbackrest %(folder)s/pgbackrest.bin "$@"
"""
# Keys of VERSION that a node compares with what it would write now; `folder` is the digest of the program and libraries.
COMPARED = ("package", "texts", "certificates")


def read_debian() -> Optional[int]:
    """Returns the major version of Debian (os-release(5)); None on another system."""
    fields = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', read_text("/etc/os-release") or "", re.MULTILINE))
    version = fields.get("VERSION_ID", "")
    return int(version) if fields.get("ID") == "debian" and version.isdigit() else None


def judge_tools(cluster: str) -> str:
    """Returns `ready`, `absent`, or `outdated` for anything in between."""
    names = os.listdir(TOOLS) if os.path.isdir(TOOLS) else []
    if not names and not backup_unit.is_present():
        return "absent"
    version = read_json(VERSION)
    if not isinstance(version, dict) or not re.fullmatch("[0-9a-f]{16}", str(version.get("folder"))):
        return "outdated"
    is_ready = (
        version == describe(version["folder"])
        and os.path.isdir(FOLDER + version["folder"])
        and all(read_text("%s/%s" % (TOOLS, name)) == text for name, text in list_texts(version["folder"]).items())
        and backup_unit.is_installed(cluster)
    )
    return "ready" if is_ready else "outdated"


def ensure_tools(cluster: str) -> bool:
    """Installs pgBackRest, the bundle, and the program that makes backups with its timer. Returns whether anything changed.

    Raises Problem on a system without a package that is new enough.
    """
    debian = read_debian()
    if debian is None or debian < DEBIAN:
        raise Problem(
            "backups need Debian %d, and this node runs %s. Replace the node (input replace): its successor starts with the "
            "image that the cluster file names now. Or remove `backup` from the cluster file"
            % (DEBIAN, "another system" if debian is None else "Debian %d" % debian)
        )
    changed = False
    if read_package_version() is None or not os.path.exists(CERTIFICATES):
        install(PACKAGE, "ca-certificates")
        changed = True
    changed = ensure_bundle() or changed
    return backup_unit.install(cluster) or changed


def remove_tools(cluster: str) -> bool:
    """Ends archiving and removes the bundle, the program that makes backups and its timer; returns whether there was any. The
    empty directory stays, because the container mounts it, and so does Debian's package, which runs nothing."""
    changed = backup_unit.remove(cluster)
    # First: archive_command calls the bundle while this file exists.
    for name in (BACKREST_CONF, BACKUP_JSON):
        path = "%s/%s" % (ETC, name)
        changed = os.path.exists(path) or changed
        remove_file(path)
    forget_pushed()
    names = os.listdir(TOOLS) if os.path.isdir(TOOLS) else []
    for name in sorted(names, key=lambda name: name != os.path.basename(VERSION)):
        _remove("%s/%s" % (TOOLS, name))
    return changed or bool(names)


def ensure_bundle() -> bool:
    """Makes the bundle that the container mounts, or brings it up to date; returns whether anything changed.

    The directory itself is never replaced: running containers have it mounted.
    """
    make_directory(TOOLS)
    sources = list_sources()
    digest = digest_files(sources)
    changed = not os.path.isdir(FOLDER + digest)
    if changed:
        copy_files(sources, FOLDER + digest)
    for name, text in list_texts(digest).items():
        mode = 0o644 if name == CERTIFICATES_NAME else 0o755
        changed = write_text("%s/%s" % (TOOLS, name), text, mode) or changed
    changed = write_text(VERSION, json.dumps(describe(digest), sort_keys=True) + "\n") or changed
    wanted = {*list_texts(digest), os.path.basename(FOLDER + digest), os.path.basename(VERSION)}
    for name in set(os.listdir(TOOLS)) - wanted:
        _remove("%s/%s" % (TOOLS, name))
        changed = True
    return changed


def list_sources() -> Dict[str, str]:
    """Returns {name in the bundle: file on the host} of the program, its libraries and its loader."""
    loader, libraries = parse_ldd(run(["ldd", PROGRAM], timeout=60).stdout)
    system = os.path.dirname(libraries["libc.so.6"])
    opened = {name: "%s/%s" % (system, name) for name in OPENED_BY_NAME}
    present = {name: path for name, path in opened.items() if os.path.exists(path)}
    return {**present, **libraries, "loader": loader, "pgbackrest.bin": PROGRAM}


def parse_ldd(text: str) -> "tuple[str, Dict[str, str]]":
    """Returns the path of the loader and {name: path} of all libraries, from the output of ldd(1)."""
    missing = re.findall(r"^\s*(\S+) => not found", text, re.MULTILINE)
    if missing:
        raise Problem(
            "%s lacks the library %s. Repair the package with `apt-get install --reinstall %s`, then run this again"
            % (PROGRAM, missing[0], PACKAGE)
        )
    libraries = dict(re.findall(r"^\s*(\S+) => (/\S+) \(", text, re.MULTILINE))
    loaders = re.findall(r"^\s*(/\S+) \(", text, re.MULTILINE)
    if len(loaders) != 1 or "libc.so.6" not in libraries:
        raise Problem("`ldd %s` prints no loader or no C library" % PROGRAM, text)
    return loaders[0], libraries


def describe(digest: str) -> Dict[str, str]:
    """Returns what VERSION has to say on this host about a bundle whose program and libraries have that digest."""
    return {
        "package": read_package_version() or "",
        "texts": _hash(WRAPPER_TEXT + archive_push.SCRIPT_TEXT + archive_get.SCRIPT_TEXT),
        "certificates": _hash(read_certificates()),
        "folder": digest,
    }


def list_texts(digest: str) -> Dict[str, str]:
    """Returns {name: text} of the files beside the program, the wrapper last: it switches to another directory."""
    wrapper = WRAPPER_TEXT % {"folder": FOLDER + digest, "tools": TOOLS}
    scripts = {"archive-get": archive_get.SCRIPT_TEXT, "archive-push": archive_push.SCRIPT_TEXT}
    return {CERTIFICATES_NAME: read_certificates(), **scripts, "pgbackrest": wrapper}


def read_package_version() -> Optional[str]:
    """Returns the version of the installed package; None if it is not installed."""
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", PACKAGE]
    # Exit code 1 if dpkg does not know it.
    status, _, version = run(query, check=False, timeout=60).stdout.partition(" ")
    return version if status == "installed" else None


def read_certificates() -> str:
    """Returns the certificates that the host trusts; '' without any. Comments between them may be in any encoding."""
    try:
        with open(CERTIFICATES, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def digest_files(sources: Dict[str, str]) -> str:
    """Returns a digest of the contents and names of files, 16 hex digits."""
    digest = hashlib.sha256()
    for name, path in sorted(sources.items()):
        with open(path, "rb") as file:
            digest.update(("%s %s\n" % (name, hashlib.sha256(file.read()).hexdigest())).encode("utf-8"))
    return digest.hexdigest()[:16]


def copy_files(sources: Dict[str, str], folder: str) -> None:
    """Copies files into a directory that appears when it is complete, also after a power loss."""
    working = TOOLS + "/copying"
    shutil.rmtree(working, ignore_errors=True)
    make_directory(working)
    for name, path in sources.items():
        target = "%s/%s" % (working, name)
        shutil.copyfile(path, target)
        os.chmod(target, 0o755)
        with open(target, "rb") as file:
            os.fsync(file.fileno())
    sync_directory(working)
    os.rename(working, folder)
    sync_directory(TOOLS)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        remove_file(path)
