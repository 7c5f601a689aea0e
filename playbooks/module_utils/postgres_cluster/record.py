"""The identity of the data on a volume, and whether the data is complete."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional

from .command import Problem
from .files import read_json, write_text
from .image import Image, ensure_image
from .layout import DATA, OLD, PARTIAL, RECORD, ROOT
from .spec import Spec
from .volume import require_mounted

# The parts of the record that come from the server. Read from a database that is not changed or dropped by mistake.
# The sort order is that of the locale provider: `daticulocale` in 15 and 16, `datlocale` since 17.
READ_IDENTITY = """
SELECT json_build_array(
  coalesce(to_json(d) ->> 'datlocale', to_json(d) ->> 'daticulocale', datcollate),
  (SELECT system_identifier::text FROM pg_control_system()))
FROM pg_database d WHERE datname = 'template0'
"""


def read_record() -> Optional[Dict[str, Any]]:
    """Returns what was recorded when the data became complete: major, libc, image, digest, locale, systemIdentifier."""
    return read_json(RECORD)


def write_record(image: Image, reference: str, locale: str, system_identifier: str) -> bool:
    """Writes the record; returns whether it changed. An initialisation or a clone writes it last: it marks the data as
    complete, which PG_VERSION does not, as initdb writes it long before it has finished (initdb.c)."""
    record = {
        "major": image.major,
        "libc": image.libc,
        "image": reference,
        "digest": image.pinned,
        "locale": locale,
        "systemIdentifier": system_identifier,
    }
    return write_text(RECORD, json.dumps(record, sort_keys=True, indent=2) + "\n")


def judge_data() -> str:
    """Returns `absent`, `partial`, `unrecorded` or `complete`."""
    if os.path.isdir(DATA):
        return "unrecorded" if read_record() is None else "complete"
    # A clone that was interrupted after it moved the old data aside is unfinished as well.
    return "partial" if os.path.isdir(PARTIAL) or list_old_data() else "absent"


def is_standby() -> bool:
    """Whether the data is a replica's."""
    return os.path.exists(DATA + "/standby.signal")


def list_old_data() -> List[str]:
    """Lists the data directories that clones moved aside, oldest first."""
    prefix = os.path.basename(OLD)
    if not os.path.isdir(ROOT):
        return []
    return sorted(ROOT + "/" + name for name in os.listdir(ROOT) if name.startswith(prefix))


def has_control_file(directory: str) -> bool:
    """Whether a data directory was ever complete: its control file has the fixed size that PostgreSQL writes
    (PG_CONTROL_FILE_SIZE in src/include/catalog/pg_control.h)."""
    try:
        return os.path.getsize(directory + "/global/pg_control") == 8192
    except OSError:
        return False


def require_same_family(image: Image) -> None:
    """Raises Problem if an image must not run on the data here, before anything is stopped: another major version cannot
    read it, and another C library sorts text differently, which corrupts indexes (PostgreSQL manual, 23.2.2 "Managing
    Collations")."""
    record = read_record()
    if record is None:
        return
    if record["major"] != image.major:
        raise Problem(
            "the data is PostgreSQL %s's and the image is PostgreSQL %s, which cannot read it. Stay on %s; "
            "for a major upgrade create a second cluster and move the data"
            % (record["major"], image.major, record["major"])
        )
    if record["libc"] != image.libc:
        raise Problem(
            "the data was sorted by %s and the image brings %s: every text index would be corrupt. "
            "Stay on an image of the same family" % (record["libc"], image.libc)
        )


def choose_image(spec: Spec) -> Image:
    """Returns the image that the node is to run: the recorded digest while the reference is unchanged, as its tag may have
    moved since; else the digest that another node resolved the new reference to in this run, so that all nodes run the
    same. Raises Problem for an image that must not run on the data."""
    require_mounted(spec.cluster)
    record = read_record()
    if record is None:
        raise Problem("%s has no complete data; there is nothing to start" % spec.node)
    known = [record, *spec.known]
    reference = next((item["digest"] for item in known if item["image"] == spec.image), spec.image)
    image, _ = ensure_image(reference)
    require_same_family(image)
    return image


def choose_recorded_image(spec: Spec) -> Image:
    """Returns the image that the node's data last ran with, even if another one is configured now."""
    record = read_record()
    return choose_image(spec if record is None else spec._replace(image=record["image"]))
