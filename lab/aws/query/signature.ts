import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ApiError } from '../api-error.ts';

/** An HTTP request as it arrived. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** An access key of the account. */
export interface AccessKey {
  readonly id: string;
  readonly secret: string;
}

const MAX_SKEW_MS = 15 * 60 * 1000;
const FORMAT =
  /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/(\d{8})\/([^/,]+)\/ec2\/aws4_request, *SignedHeaders=([a-z0-9;-]+), *Signature=([0-9a-f]{64})$/;

/**
 * Verifies a request's signature (IAM User Guide, "AWS Signature Version 4 for API requests"), written without the SDK
 * that the action signs with. Returns the region of the signature; throws EC2's refusal.
 */
export function verifySignature(
  request: SignedRequest,
  { key, now }: { key: AccessKey; now: number },
): string {
  const { headers, method, target, body } = request;
  const refused = new ApiError(
    'AuthFailure',
    'AWS was not able to validate the provided access credentials',
  );
  const [, id, day = '', region = '', names = '', signature = ''] =
    FORMAT.exec(headers.authorization ?? '') ?? [];
  if (id === undefined) {
    throw new ApiError('MissingAuthenticationToken', 'Request is missing Authentication Token');
  }
  const signed = names.split(';');
  const date = String(headers['x-amz-date'] ?? '');
  if (
    id !== key.id ||
    !date.startsWith(day) ||
    !['host', 'x-amz-date'].every((name) => signed.includes(name))
  )
    throw refused;
  const time = Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
  if (!(Math.abs(now - time) <= MAX_SKEW_MS))
    throw new ApiError('RequestExpired', 'Request has expired.');
  const [path = '/', query = ''] = target.split('?');
  const canonical = [
    method,
    path,
    [...new URLSearchParams(query)]
      .map((pair) => pair.map(encodeURIComponent).join('='))
      .sort()
      .join('&'),
    ...signed.map(
      (name) =>
        `${name}:${String(headers[name] ?? '')
          .trim()
          .replace(/ +/g, ' ')}`,
    ),
    '',
    names,
    hash(body),
  ].join('\n');
  const scope = `${day}/${region}/ec2/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', date, scope, hash(canonical)].join('\n');
  const signingKey = [day, region, 'ec2', 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${key.secret}`,
  );
  const expected = createHmac('sha256', signingKey).update(text).digest();
  if (!timingSafeEqual(expected, Buffer.from(signature, 'hex'))) throw refused;
  return region;
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
