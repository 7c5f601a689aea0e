"""The repository of the cluster that a restore makes: whether it is free is known before the restore, which may take hours."""

from __future__ import annotations

import time

from .archive import NEW_ROLE_SECONDS, RETRY_SECONDS
from .backrest_errors import FILE_MISSING, explain_failure, is_about_role, read_option
from .cipher import require_same
from .command import Problem
from .files import remove_file, write_text
from .repository import MISSING, NO_STANZA, Info, ask_info, is_same_place, parse_info, read_status
from .restore_source import Choice, Source
from .spec import Spec
from .stages import show_time
from .work import restore_folder

OWN_CONF = "own.conf"


def require_own_repository(spec: Spec, source: Source, choice: Choice, conf: str, own: str) -> None:
    """Raises Problem if the restored cluster could not archive into its own repository, or would write between the files of
    another history. Without backups, or if it goes on in the repository that is restored, there is nothing to find.

    `conf`: a pgbackrest.conf that reads the source; `own`: the cluster's own, "" if it has none.
    """
    if not own:
        return
    if is_same_place(conf, own):
        require_same(conf, own)
        return
    path = "%s/%s" % (restore_folder(), OWN_CONF)
    write_text(path, own, 0o600)
    try:
        info = await_info(spec.cluster, path)
    finally:
        # It may hold the key, and the containers of the restore see the folder.
        remove_file(path)
    if info.text is None:
        raise Problem(_refuse(spec, own, "cannot be read: %s" % info.problem), info.said[-4000:])
    code = read_status(info.text, spec.cluster)
    if code == NO_STANZA:
        return
    if code in MISSING:
        raise Problem(_refuse(spec, own, "cannot be used: %s" % explain_failure(FILE_MISSING, "", own)))
    found = parse_info(info.text, spec.cluster, own)
    if found["problem"] is not None:
        raise Problem(_refuse(spec, own, "cannot be read: %s" % found["problem"]), info.said[-4000:])
    identifier, backups = found["systemIdentifier"], found["backups"]
    is_same = identifier is not None and identifier == choice.system
    # A run that was cut may have made the stanza and nothing else.
    if is_same and not backups and found["newestWal"] is None:
        return
    newest = ", the newest of %s" % show_time(backups[-1]["ended"]) if backups else ""
    what = "system identifier %s, backups: %d%s" % (identifier, len(backups), newest)
    if is_same:
        # Both begin the same timeline, so that segments with the same names differ.
        raise Problem(
            _refuse(
                spec,
                own,
                "holds the archive of this same database or of an earlier restore of it (%s), and the WAL of another restore would "
                "have the names of what is there" % what,
            )
            + ". To restore what is there, name that place in `restore.from`; for a restore from %s, choose another `backup.prefix` "
            "or cluster name" % source.url
        )
    raise Problem(
        _refuse(
            spec,
            own,
            "holds the backups of another database cluster (%s; that of %s has %s), which are not overwritten"
            % (what, source.url, choice.system or "another one"),
        )
        + ". Choose another `backup.prefix` or cluster name"
    )


def await_info(cluster: str, path: str) -> Info:
    """Asks what a repository holds, again while that may fail only because the role of the nodes is new."""
    deadline = time.monotonic() + NEW_ROLE_SECONDS
    while True:
        info = ask_info(cluster, path)
        if not is_about_role(info.said) or time.monotonic() >= deadline:
            return info
        time.sleep(RETRY_SECONDS)


def _refuse(spec: Spec, own: str, why: str) -> str:
    url = "s3://%s%s" % (read_option(own, "repo1-s3-bucket"), read_option(own, "repo1-path"))
    return "nothing was restored, because %s, where %s is to archive, %s" % (url, spec.cluster, why)
