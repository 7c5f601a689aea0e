"""What a node found when it verified what it had restored: kept on the node, reported by its proof."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

from .files import read_json, write_text
from .layout import ROOT

VERIFIED = ROOT + "/verified.json"


def read_verified(token: str) -> Optional[Dict[str, Any]]:
    """Returns {"token", "verification", "notes"} of the verification for this token that succeeded; None if there is none."""
    found = read_json(VERIFIED)
    return found if isinstance(found, dict) and found.get("token") == token else None


def write_verified(token: str, verification: Dict[str, Any], notes: List[str]) -> None:
    """Keeps what was found."""
    document = {"token": token, "verification": verification, "notes": notes}
    write_text(VERIFIED, json.dumps(document, sort_keys=True, indent=2) + "\n")


def read_verification() -> Optional[Dict[str, Any]]:
    """Returns Verification (src/cluster/rehearsal.ts); None on a node that verified nothing."""
    found = read_json(VERIFIED)
    return found.get("verification") if isinstance(found, dict) else None
