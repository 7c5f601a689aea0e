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
  /** The session token of a temporary key; a presigned URL must have it. */
  readonly token?: string;
}

/** The account's access key: the lab's state store has the same. */
export const LAB_KEY: AccessKey = { id: 'lab', secret: 'lab' };

/** What a signature covers besides the request: key and scope, header names and time. */
interface Claim {
  readonly id: string;
  readonly day: string;
  readonly region: string;
  readonly service: string;
  /** The signed headers, as they are written. */
  readonly names: string;
  readonly signature: string;
  /** `YYYYMMDD'T'HHMMSS'Z'` */
  readonly date: string;
}

const MAX_SKEW_MS = 15 * 60 * 1000;
/** The longest validity of a presigned URL, in seconds: seven days. */
const MAX_EXPIRES = 604_800;
const SCOPE = /^([^/,]+)\/(\d{8})\/([^/,]+)\/([^/,]+)\/aws4_request$/;
const HEADER =
  /^AWS4-HMAC-SHA256 Credential=([^, ]+), *SignedHeaders=([a-z0-9;-]+), *Signature=([0-9a-f]{64})$/;

/**
 * Verifies the signature of a request to EC2 (IAM User Guide, "AWS Signature Version 4 for API requests"), written
 * without the SDK that the action signs with. Returns the region of the signature; throws EC2's refusal.
 */
export function verifySignature(
  request: SignedRequest,
  { key, now }: { key: AccessKey; now: number },
): string {
  const { headers } = request;
  const refused = new ApiError(
    'AuthFailure',
    'AWS was not able to validate the provided access credentials',
  );
  const [, scope = '', names = '', signature = ''] = HEADER.exec(headers.authorization ?? '') ?? [];
  const claim = readClaim(scope, {
    names,
    signature,
    date: String(headers['x-amz-date'] ?? ''),
  });
  if (claim?.service !== 'ec2') {
    throw new ApiError('MissingAuthenticationToken', 'Request is missing Authentication Token');
  }
  if (claim.id !== key.id || !signs(claim, ['host', 'x-amz-date'])) throw refused;
  if (!(Math.abs(now - readTime(claim)) <= MAX_SKEW_MS))
    throw new ApiError('RequestExpired', 'Request has expired.');
  if (!isSigned(request, claim, key)) throw refused;
  return claim.region;
}

/**
 * Verifies a presigned URL of a service (the same guide, "Authentication methods": query parameters). Returns its
 * region; throws a refusal with a code of AWS's JSON services.
 */
export function verifyPresigned(
  request: SignedRequest,
  { key, now, service }: { key: AccessKey; now: number; service: string },
): string {
  const given = new URLSearchParams(request.target.split('?')[1]);
  const read = (name: string) => given.getAll(`X-Amz-${name}`).join();
  const claim = readClaim(read('Credential'), {
    names: read('SignedHeaders'),
    signature: read('Signature'),
    date: read('Date'),
  });
  if (claim === undefined || read('Algorithm') !== 'AWS4-HMAC-SHA256') {
    throw new ApiError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  }
  if (claim.id !== key.id || read('Security-Token') !== (key.token ?? read('Security-Token'))) {
    throw new ApiError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  }
  const refuse = (why: string) => new ApiError('InvalidSignatureException', why);
  if (claim.service !== service)
    throw refuse(`Credential should be scoped to correct service: '${service}'.`);
  if (!signs(claim, ['host'])) throw refuse("'Host' must be a 'SignedHeader' in the AWS Request.");
  const seconds = Number(read('Expires'));
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_EXPIRES)
    throw refuse('X-Amz-Expires must be between 1 and 604800 seconds');
  const age = now - readTime(claim);
  if (!(age >= -MAX_SKEW_MS)) throw refuse(`Signature not yet current: ${claim.date}`);
  if (age > seconds * 1000) throw refuse(`Signature expired: ${claim.date}`);
  if (!isSigned(request, claim, key)) {
    throw refuse(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.',
    );
  }
  return claim.region;
}

function readClaim(
  scope: string,
  rest: Pick<Claim, 'names' | 'signature' | 'date'>,
): Claim | undefined {
  const [, id, day = '', region = '', service = ''] = SCOPE.exec(scope) ?? [];
  return id === undefined ? undefined : { id, day, region, service, ...rest };
}

/** Whether the signature covers these headers, and was made on the day of its scope. */
function signs({ names, date, day }: Claim, required: readonly string[]): boolean {
  const signed = names.split(';');
  return date.startsWith(day) && required.every((name) => signed.includes(name));
}

/** ms since 1970, NaN if it is no time. */
function readTime({ date }: Claim): number {
  return Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
}

function isSigned({ method, target, headers, body }: SignedRequest, claim: Claim, key: AccessKey) {
  const { day, region, service, names, date, signature } = claim;
  const [path = '/', query = ''] = target.split('?');
  const canonical = [
    method,
    path,
    [...new URLSearchParams(query)]
      .filter(([name]) => name !== 'X-Amz-Signature')
      .map((pair) => pair.map(encode).join('='))
      .sort()
      .join('&'),
    ...names.split(';').map(
      (name) =>
        `${name}:${String(headers[name] ?? '')
          .trim()
          .replace(/ +/g, ' ')}`,
    ),
    '',
    names,
    hash(body),
  ].join('\n');
  const scope = [day, region, service, 'aws4_request'];
  const text = ['AWS4-HMAC-SHA256', date, scope.join('/'), hash(canonical)].join('\n');
  const signingKey = scope.reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${key.secret}`,
  );
  const expected = createHmac('sha256', signingKey).update(text).digest();
  const found = Buffer.from(signature, 'hex');
  return found.length === expected.length && timingSafeEqual(expected, found);
}

/** RFC 3986's encoding: only unreserved characters stay. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) =>
    `%${one.charCodeAt(0).toString(16)}`.toUpperCase(),
  );

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
