"""Whether a restored database is sorted as the image sorts that it now runs in.

PostgreSQL keeps the versions of the libraries that its indexes were built with until they are refreshed, so that every later
image is compared with them (check.py), not with what the restore brought.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from .collation import Orders, Stored, advise, describe_moved, read_orders
from .command import Problem
from .image import Image
from .spec import Spec

# So many databases are named.
MAX_NAMES = 10


def find_outdated(orders: Orders) -> List[Tuple[Stored, str]]:
    """Returns what was built with another version of a library than the server runs with, each with the present version."""
    return [(one, one.version) for one in orders.stored if one.version is not None and one.recorded not in (None, one.version)]


def list_foreign(orders: Orders) -> List[str]:
    """Returns the databases with text that glibc sorted, in an image whose C library has no versions, as musl."""
    return sorted({one.database for one in orders.stored if one.version is None})


def list_unrecorded(orders: Orders) -> List[str]:
    """Returns the databases with text that nobody knows the library of: PostgreSQL 14 records none for a database's own
    collation, and musl has no versions."""
    return sorted({one.database for one in orders.stored if one.version is not None and one.recorded is None})


def note_order(spec: Spec, image: Image, writer: Optional[str]) -> List[str]:
    """Returns notes on what is to be rebuilt in a restored database; [] if it is sorted as before. `writer`: the image, by
    digest, with which the backup was made; None if that is not known."""
    try:
        orders = read_orders(spec.container, image.major)
    except Problem as problem:
        return [_say_unknown(spec, problem.message)]
    if orders is None:
        return [_say_unknown(spec, "the server did not answer")]
    outdated, foreign, unrecorded = find_outdated(orders), list_foreign(orders), list_unrecorded(orders)
    notes: List[str] = []
    if outdated:
        notes.append(
            "%s was restored with an image whose libraries sort text in another version than those that wrote the data. Until "
            "the following is done, queries may miss rows and unique indexes may accept duplicates; or restore again with the image "
            "of the source" % spec.node
        )
        notes += advise(outdated, orders.major)
    if foreign:
        notes.append(
            "%s was restored with an image without glibc, whose order PostgreSQL recorded for %s: text indexes there are not to be "
            "trusted. Restore again with an image of the source's family" % (spec.node, _list(foreign))
        )
    if unrecorded and (writer is None or _digest(writer) != _digest(image.pinned)):
        how = "another image than %s" % spec.image if writer else "an image that is not known"
        notes.append(
            "%s was restored from a backup that was made with %s, and PostgreSQL has not recorded by which library version text is "
            "sorted in %s: unless the source has the same glibc and ICU, rebuild the text indexes there (`REINDEX DATABASE`)"
            % (spec.node, how, _list(unrecorded))
        )
    return notes


def require_order(spec: Spec, major: int) -> List[str]:
    """Returns a sentence on what a rehearsal has restored and cannot use as it is; [] if everything is sorted as before."""
    orders = read_orders(spec.container, major)
    if orders is None:
        return ["%s does not answer, so it is not known how it sorts text" % spec.node]
    outdated, foreign = find_outdated(orders), list_foreign(orders)
    if not outdated and not foreign:
        return []
    what = [describe_moved(outdated)] if outdated else []
    if foreign:
        what.append("%s: glibc, which the image does not have" % _list(foreign))
    return [
        "%s sorts text with other library versions than those that indexes of what %s restored were built with, so these are not to "
        "be trusted: %s. If the cluster itself runs this image, rebuild them there (REINDEX, then ALTER DATABASE … REFRESH COLLATION "
        "VERSION or ALTER COLLATION … REFRESH VERSION), and rehearse again; otherwise deploy first" % (spec.image, spec.node, "; ".join(what))
    ]


def _say_unknown(spec: Spec, why: str) -> str:
    return (
        "it is not known whether %s sorts text as the source did (%s): compare datcollversion in pg_database with "
        "pg_database_collation_actual_version(oid)" % (spec.node, why)
    )


def _digest(image: str) -> str:
    return image.split("@")[-1]


def _list(databases: List[str]) -> str:
    more = len(databases) - MAX_NAMES
    return ", ".join("`%s`" % name.replace("`", "'") for name in databases[:MAX_NAMES]) + (" and %d more" % more if more > 0 else "")
