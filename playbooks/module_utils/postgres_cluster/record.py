"""The identity of the data on a volume, and in which state of completion the data is."""

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

# What the record takes from the database itself, from the one that nobody can change, rename or drop by mistake. The
# order is that of the locale's provider: `daticulocale` is of 15 and 16, `datlocale` came with 17.
READ_IDENTITY = """
SELECT json_build_array(
  coalesce(to_json(d) ->> 'datlocale', to_json(d) ->> 'daticulocale', datcollate),
  (SELECT system_identifier::text FROM pg_control_system()))
FROM pg_database d WHERE datname = 'template0'
"""


def read_record() -> Optional[Dict[str, Any]]:
    """What was recorded when the data became complete: major, libc, image, digest, locale, systemIdentifier."""
    return read_json(RECORD)


def write_record(image: Image, reference: str, locale: str, system_identifier: str) -> bool:
    """Writes the record, the last act of an initialisation or a clone (trap 2); gives whether it changed."""
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
    """`absent`, `partial`, `unrecorded` or `complete`."""
    if os.path.isdir(DATA):
        return "unrecorded" if read_record() is None else "complete"
    # Data that a clone moved aside, and nothing in its place yet, is unfinished work too.
    return "partial" if os.path.isdir(PARTIAL) or list_old_data() else "absent"


def is_standby() -> bool:
    """Whether the data is a replica's."""
    return os.path.exists(DATA + "/standby.signal")


def list_old_data() -> List[str]:
    """Data directories that a clone moved aside, oldest first."""
    prefix = os.path.basename(OLD)
    if not os.path.isdir(ROOT):
        return []
    return sorted(ROOT + "/" + name for name in os.listdir(ROOT) if name.startswith(prefix))


def has_control_file(directory: str) -> bool:
    """Whether a data directory was ever whole: its control file has the one size PostgreSQL writes
    (PG_CONTROL_FILE_SIZE in src/include/catalog/pg_control.h)."""
    try:
        return os.path.getsize(directory + "/global/pg_control") == 8192
    except OSError:
        return False


def require_same_family(image: Image) -> None:
    """Raises Problem if an image must not run on the data here (traps 5 and 8): before anything stops."""
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
    """The image that the node shall run: the recorded one as long as the same is asked for, so that a
    floating tag which moved changes nothing; else what another node made of the new reference in this run
    (trap 6). Raises Problem for one that must not run on the data."""
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
    """The image that the node's data was last run with, whatever is asked for by now."""
    record = read_record()
    return choose_image(spec if record is None else spec._replace(image=record["image"]))
