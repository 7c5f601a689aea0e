"""What a request to S3 needs: IAM actions on resources.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""
import xml.etree.ElementTree as xml
from xml.sax.saxutils import escape

from signature import Refusal, split_target

ACCOUNT = '123456789012'
NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
KMS_KEY = 'x-amz-server-side-encryption-aws-kms-key-id'
# Subresources of a bucket that the lab serves, by method.
BUCKET_ACTIONS = {
    ('GET', 'location'): 's3:GetBucketLocation',
    ('GET', 'uploads'): 's3:ListBucketMultipartUploads',
    ('GET', 'versions'): 's3:ListBucketVersions',
    ('GET', 'versioning'): 's3:GetBucketVersioning',
}
LIST_PARAMETERS = {
    'list-type', 'prefix', 'delimiter', 'max-keys', 'continuation-token', 'start-after', 'marker', 'encoding-type', 'fetch-owner'
}


class Need:
    """An action on a resource, with its context keys."""

    def __init__(self, action, resource, context):
        self.action, self.resource, self.context = action, resource, context


class Request:
    """A request in path style."""

    def __init__(self, method, target, headers, region):
        path, pairs = split_target(target)
        self.method, self.headers, self.region = method, headers, region
        self.query = dict(pairs)
        _, self.bucket, *rest = [*path.split('/', 2), '']
        self.key = rest[0]
        self.bucket_arn = f'arn:aws:s3:::{self.bucket}'
        self.context = {
            'aws:securetransport': 'true',
            'aws:principalaccount': ACCOUNT,
            'aws:resourceaccount': ACCOUNT,
            's3:resourceaccount': ACCOUNT,
        }
        for name in ('x-amz-server-side-encryption', KMS_KEY):
            if name in headers:
                self.context[f's3:{name}'] = headers[name]

    def name_object(self, key):
        return f'{self.bucket_arn}/{key}'

    def need_list(self, key=None):
        """ListBucket as the request asks for it; with `key`, as S3 asks for it before it says that a key does not exist."""
        context = dict(self.context)
        for name in ('prefix', 'delimiter', 'max-keys'):
            if name in self.query:
                context[f's3:{name}'] = self.query[name]
        if key is not None:
            context['s3:prefix'] = key
        return Need('s3:ListBucket', self.bucket_arn, context)

    def need_kms(self, action, key):
        context = {**self.context, 'kms:viaservice': f's3.{self.region}.amazonaws.com'}
        arn = key if key.startswith('arn:') else f'arn:aws:kms:{self.region}:{ACCOUNT}:key/{key}'
        if ':alias/' in arn:
            # IAM sees the key behind it, and the alias as a condition key.
            arn, _, alias = arn.partition(':alias/')
            context['kms:resourcealiases'] = f'alias/{alias}'
            arn += ':key/behind-an-alias'
        return Need(f'kms:{action}', arn, context)

    def list_needs(self):
        """Returns what must be allowed before the request is carried out; raises Refusal for one that the lab does not have."""
        if self.bucket == '':
            return [Need('s3:ListAllMyBuckets', '*', self.context)]
        return self._list_object_needs() if self.key else self._list_bucket_needs()

    def _refuse(self):
        raise Refusal(501, 'NotImplemented', f'The lab does not have {self.method} with {sorted(self.query) or "no parameters"}')

    def _list_bucket_needs(self):
        if self.method == 'HEAD' or (self.method == 'GET' and set(self.query) <= LIST_PARAMETERS):
            return [self.need_list()]
        if self.method == 'POST' and 'delete' in self.query:
            # S3 decides for each key: see split_deletion.
            return []
        for (method, name), action in BUCKET_ACTIONS.items():
            if method == self.method and name in self.query:
                return [Need(action, self.bucket_arn, self.context)]
        return self._refuse()

    def _list_object_needs(self):
        def need(action):
            return Need(f's3:{action}', self.name_object(self.key), self.context)

        upload = 'uploadId' in self.query
        if self.method in ('GET', 'HEAD'):
            if upload:
                return [need('ListMultipartUploadParts')]
            return [need('GetObjectVersion' if 'versionId' in self.query else 'GetObject')]
        if self.method == 'DELETE':
            if upload:
                return [need('AbortMultipartUpload')]
            return [need('DeleteObjectVersion' if 'versionId' in self.query else 'DeleteObject')]
        if 'x-amz-copy-source' in self.headers or not (self.method == 'PUT' or 'uploads' in self.query or upload):
            self._refuse()
        if set(self.query) - {'uploads', 'uploadId', 'partNumber'}:
            self._refuse()
        needs = [need('PutObject')]
        if 'x-amz-tagging' in self.headers:
            needs.append(need('PutObjectTagging'))
        if KMS_KEY in self.headers:
            needs.append(self.need_kms('GenerateDataKey', self.headers[KMS_KEY]))
            if 'uploads' in self.query:
                needs.append(self.need_kms('Decrypt', self.headers[KMS_KEY]))
        return needs


def split_deletion(request, body, is_allowed):
    """DeleteObjects: returns the body with the allowed keys (None if there are none), and the errors for the others as XML."""
    root = xml.fromstring(body)
    space = root.tag[: root.tag.index('}') + 1] if root.tag.startswith('{') else ''
    errors = ''
    for entry in root.findall(f'{space}Object'):
        key = entry.findtext(f'{space}Key') or ''
        versioned = entry.find(f'{space}VersionId') is not None
        action = 's3:DeleteObjectVersion' if versioned else 's3:DeleteObject'
        if not is_allowed(Need(action, request.name_object(key), request.context)):
            root.remove(entry)
            errors += f'<Error><Key>{escape(key)}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
    allowed = root.find(f'{space}Object') is not None
    xml.register_namespace('', NAMESPACE)
    return (xml.tostring(root) if allowed else None), errors
