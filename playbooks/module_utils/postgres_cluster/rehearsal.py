"""The last rehearsal of the cluster's restore that succeeded, as its nodes remember it: RehearsalRecord
(src/cluster/rehearsal.ts). Root alone writes the file."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

from .command import Problem
from .files import read_json, write_text
from .layout import ROOT
from .spec import Outcome, Spec
from .volume import require_mounted

REHEARSAL = ROOT + "/rehearsal.json"
# The most that the action reads (src/ansible/report-schema.ts). What an earlier version recorded has no age of its newest commit.
OPTIONAL = "commitAge"
MOST = {"ended": 2**40, "restoredTo": 2**40, "seconds": 2**53 - 1, "bytes": 2**53 - 1}


def record(spec: Spec, rehearsal: Dict[str, Any]) -> Outcome:
    """Remembers a rehearsal. Touches nothing else."""
    require_mounted(spec.cluster)
    document = select(rehearsal)
    if document is None:
        raise Problem("a rehearsal has %s, each a whole number; this one is %s" % (", ".join(MOST), json.dumps(rehearsal)[:200]))
    return Outcome(write_text(REHEARSAL, json.dumps(document, sort_keys=True, indent=2) + "\n"))


def observe_rehearsal() -> Optional[Dict[str, Optional[int]]]:
    """Returns the rehearsal that this node remembers; None without one, or if the file is not what `record` writes."""
    return select(read_json(REHEARSAL))


def select(found: Any) -> Optional[Dict[str, Optional[int]]]:
    """Returns the numbers of a rehearsal; None if one of them is missing or is no such number. OPTIONAL may be missing or None."""
    if not isinstance(found, dict) or not all(is_whole(found.get(name), most) for name, most in MOST.items()):
        return None
    age = found.get(OPTIONAL)
    if age is not None and not is_whole(age, 2**53 - 1):
        return None
    return {**{name: found[name] for name in MOST}, OPTIONAL: age}


def is_whole(value: Any, most: int) -> bool:
    """Whether a value is a whole number from 0 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
