"""The registry of the image, and the login to it, which is sent to that registry's pulls and look-ups and is written
nowhere: the Docker Engine API takes it as a header ("Authentication", `X-Registry-Auth`)."""

from __future__ import annotations

import base64
import json
from typing import Dict, Optional

HUB = "docker.io"

_registry: Optional[str] = None
_header: Optional[str] = None


def find_registry(reference: str) -> str:
    """The host that an image is pulled from; without one it is Docker Hub's (distribution/reference, "familiar
    names"). As `readRegistry` in src/inputs/held-keys.ts reads it."""
    host, slash, _ = reference.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else HUB


def use_login(image: str, username: Optional[str], password: Optional[str]) -> None:
    """Logs in to the registry of `image`, and to no other, for the rest of this module's run; without a password
    nowhere."""
    global _registry, _header
    _registry = _header = None
    if password:
        _registry = find_registry(image)
        address = "https://index.docker.io/v1/" if _registry == HUB else _registry
        login = {"username": username or "", "password": password, "serveraddress": address}
        _header = base64.urlsafe_b64encode(json.dumps(login).encode("utf-8")).decode("ascii")


def list_headers(reference: str) -> Dict[str, str]:
    """What a request about `reference` carries: the login, if it is that registry's."""
    if _header is None or find_registry(reference) != _registry:
        return {}
    return {"X-Registry-Auth": _header}
