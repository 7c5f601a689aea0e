"""Temporary credentials of a role, as STS makes them.

The metadata service of a host issues them, and a service of the lab verifies them later, without a table of sessions: the
token names instance, role and end, and is authenticated with the instance's key, which the service derives. Key id and
secret follow from key and token.
"""
import base64
import hashlib
import hmac
import json


def derive_key(world, instance):
    """Returns the key of an instance (hex). It is in the host's own /etc/lab/metadata.json."""
    return hmac.new(world.encode(), instance.encode(), hashlib.sha256).hexdigest()


def _sign(key, purpose, text):
    return hmac.new(bytes.fromhex(key), f'{purpose} {text}'.encode(), hashlib.sha256)


def _derive(key, token):
    identity = base64.b32encode(_sign(key, 'id', token).digest()).decode()[:16]
    return 'ASIA' + identity, base64.b64encode(_sign(key, 'secret', token).digest()).decode()[:40]


def issue(key, instance, role, ends):
    """Returns (key id, secret, token). `ends`: seconds since 1970."""
    claim = json.dumps({'instance': instance, 'role': role, 'ends': ends}, sort_keys=True)
    text = base64.urlsafe_b64encode(claim.encode()).decode()
    token = f'{text}.{_sign(key, "token", text).hexdigest()}'
    return (*_derive(key, token), token)


def verify(token, find_key):
    """Returns ({'instance', 'role', 'ends'}, key id, secret) of a token; raises ValueError if it was not made with the key that
    `find_key(instance)` returns."""
    text, _, seal = token.partition('.')
    claim = json.loads(base64.urlsafe_b64decode(text.encode()))
    if not isinstance(claim, dict) or set(claim) != {'instance', 'role', 'ends'}:
        raise ValueError('not a session token')
    key = find_key(claim['instance'])
    if not hmac.compare_digest(seal, _sign(key, 'token', text).hexdigest()):
        raise ValueError('not a session token of this instance')
    return (claim, *_derive(key, token))
