"""The image's registry and the login to it. The login is sent only with pulls and look-ups from that registry, in a header
of the Docker Engine API ("Authentication", `X-Registry-Auth`), and never stored."""

from __future__ import annotations

import base64
import json
from typing import Dict, Optional

from .ecr import is_private, read_login

HUB = "docker.io"

_registry: Optional[str] = None
_header: Optional[str] = None
# Each request gets its own login, through the node's instance profile.
_is_profile = False


def find_registry(reference: str) -> str:
    """Returns the host that an image is pulled from: Docker Hub's if the reference names none (distribution/reference,
    "familiar names"). The same as `readRegistry` in src/inputs/pull-request-keys.ts."""
    host, slash, _ = reference.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else HUB


def use_login(image: str, username: Optional[str], password: Optional[str], instance_profile: bool = False) -> None:
    """Uses this login for the registry of `image`, and for no other, during this module's run. Without a password no
    login is used, or for Amazon ECR the one of the node's instance profile."""
    global _registry, _header, _is_profile
    _registry = find_registry(image)
    _header = _encode(_registry, username or "", password) if password else None
    _is_profile = instance_profile and not password and is_private(_registry)


def _encode(registry: str, username: str, password: str) -> str:
    address = "https://index.docker.io/v1/" if registry == HUB else registry
    login = {"username": username, "password": password, "serveraddress": address}
    return base64.urlsafe_b64encode(json.dumps(login).encode("utf-8")).decode("ascii")


def has_login(reference: str) -> bool:
    """Whether a request about `reference` carries a login."""
    return find_registry(reference) == _registry and (_header is not None or _is_profile)


def uses_profile(reference: str) -> bool:
    """Whether that login is the instance profile's."""
    return has_login(reference) and _is_profile


def list_headers(reference: str, seconds: float) -> Dict[str, str]:
    """Returns the headers of a request about `reference`: the login, if it is for that registry. Raises Problem if the
    instance profile provides none within `seconds`."""
    if not has_login(reference):
        return {}
    registry = find_registry(reference)
    return {"X-Registry-Auth": _encode(registry, **read_login(registry, seconds)) if _header is None else _header}
