"""The image's registry and the login to it. The login is sent only with pulls and look-ups from that registry, in a header
of the Docker Engine API ("Authentication", `X-Registry-Auth`), and never stored."""

from __future__ import annotations

import base64
import json
from typing import Dict, Optional

HUB = "docker.io"

_registry: Optional[str] = None
_header: Optional[str] = None


def find_registry(reference: str) -> str:
    """Returns the host that an image is pulled from: Docker Hub's if the reference names none (distribution/reference,
    "familiar names"). The same as `readRegistry` in src/inputs/held-keys.ts."""
    host, slash, _ = reference.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else HUB


def use_login(image: str, username: Optional[str], password: Optional[str]) -> None:
    """Uses this login for the registry of `image`, and for no other, during this module's run. Without a password no
    login is used."""
    global _registry, _header
    _registry = _header = None
    if password:
        _registry = find_registry(image)
        address = "https://index.docker.io/v1/" if _registry == HUB else _registry
        login = {"username": username or "", "password": password, "serveraddress": address}
        _header = base64.urlsafe_b64encode(json.dumps(login).encode("utf-8")).decode("ascii")


def list_headers(reference: str) -> Dict[str, str]:
    """Returns the headers of a request about `reference`: the login, if it is for that registry."""
    if _header is None or find_registry(reference) != _registry:
        return {}
    return {"X-Registry-Auth": _header}
