"""Signature version 4 in the header Authorization, as S3 verifies it.

Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header", written without an SDK.
"""
import datetime
import hashlib
import hmac
import re
import urllib.parse

AUTHORIZATION = re.compile(
    r'AWS4-HMAC-SHA256 +Credential=([^/, ]+)/(\d{8})/([^/, ]+)/([^/, ]+)/aws4_request, *SignedHeaders=([a-z0-9;-]+), *Signature=([0-9a-f]{64})'
)
MAX_SKEW_SECONDS = 900


class Refusal(Exception):
    """S3's answer to a request that it does not carry out: HTTP status, code, message."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def _quote(text, safe=''):
    return urllib.parse.quote(text, safe=f'{safe}-_.~')


def split_target(target):
    """Returns the decoded path and the decoded pairs of the query."""
    path, _, query = target.partition('?')
    return urllib.parse.unquote(path), urllib.parse.parse_qsl(query, keep_blank_values=True)


def _sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def calculate(secret, *, method, target, headers, names, payload, date, scope):
    """Returns the signature (hex). `scope`: (day, region, service); `payload`: the value of x-amz-content-sha256."""
    path, query = split_target(target)
    canonical = '\n'.join([
        method,
        _quote(path, '/'),
        '&'.join(f'{name}={value}' for name, value in sorted((_quote(name), _quote(value)) for name, value in query)),
        *(f'{name}:{" ".join(headers.get(name, "").split())}' for name in names),
        '',
        ';'.join(names),
        payload,
    ])
    parts = [*scope, 'aws4_request']
    text = '\n'.join(['AWS4-HMAC-SHA256', date, '/'.join(parts), hashlib.sha256(canonical.encode()).hexdigest()])
    key = f'AWS4{secret}'.encode()
    for part in parts:
        key = _sign(key, part)
    return _sign(key, text).hex()


def verify(method, target, headers, body, *, region, now, find_session):
    """Returns the session ({'instance', 'role', …}) that signed a request; raises Refusal.

    `headers`: by lower-case name. `find_session(token)` returns (session, key id, secret), or raises ValueError.
    """
    found = AUTHORIZATION.fullmatch(headers.get('authorization', ''))
    if found is None:
        raise Refusal(403, 'AccessDenied', 'Access Denied')
    identity, day, scope_region, service, signed, signature = found.groups()
    names = signed.split(';')
    payload = headers.get('x-amz-content-sha256', '')
    date = headers.get('x-amz-date', '')
    if service != 's3' or scope_region != region:
        raise Refusal(400, 'AuthorizationHeaderMalformed', f"The authorization header is malformed; the region '{scope_region}' is wrong; expecting '{region}'")
    signable = {'host', *(name for name in headers if name.startswith('x-amz-'))}
    if signable - set(names):
        raise Refusal(403, 'AccessDenied', 'There were headers present in the request which were not signed')
    try:
        time = datetime.datetime.strptime(date, '%Y%m%dT%H%M%SZ').replace(tzinfo=datetime.timezone.utc).timestamp()
    except ValueError:
        raise Refusal(403, 'AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header') from None
    if abs(now - time) > MAX_SKEW_SECONDS or not date.startswith(day):
        raise Refusal(403, 'RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.')
    try:
        session, key_id, secret = find_session(headers.get('x-amz-security-token', ''))
    except ValueError:
        raise Refusal(400, 'InvalidToken', 'The provided token is malformed or otherwise invalid.') from None
    if identity != key_id:
        raise Refusal(403, 'InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.')
    if session['ends'] <= now:
        raise Refusal(400, 'ExpiredToken', 'The provided token has expired.')
    expected = calculate(
        secret, method=method, target=target, headers=headers, names=names, payload=payload, date=date, scope=(day, region, service)
    )
    if not hmac.compare_digest(expected, signature):
        raise Refusal(403, 'SignatureDoesNotMatch', 'The request signature we calculated does not match the signature you provided. Check your key and signing method.')
    if payload != 'UNSIGNED-PAYLOAD' and payload != hashlib.sha256(body).hexdigest():
        raise Refusal(400, 'XAmzContentSHA256Mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed.")
    return session
