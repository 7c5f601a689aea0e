import { HttpClient } from '@actions/http-client';
import type { HttpRequest } from '@smithy/types';
import { z } from 'zod';
import { readMessage } from '../messages/errors.ts';
import { AwsError, type CredentialSource } from './credentials.ts';
import { createSigner } from './signer.ts';

/** EC2's API in a region. */
export interface Ec2Connection {
  readonly region: string;
  readonly endpoint: URL;
  readonly credentials: CredentialSource;
  /** Time limit of an attempt, in ms; by default 10 s. */
  readonly timeoutMs?: number;
}

/** Version of the API. */
const VERSION = '2016-11-15';
const TIMEOUT_MS = 10_000;
/** The longest answer that is read, in bytes. */
const MAX_BYTES = 1024 * 1024;
/** A request is repeated once after these. */
const TRANSIENT =
  /^(?:NoAnswer|RequestLimitExceeded|Unavailable|InternalError|ServiceUnavailable)$/;

const refusal = z.object({
  Response: z.object({
    Errors: z.object({
      Error: z.object({ Code: z.string().regex(/^[\w.]{1,80}$/), Message: z.string().max(4000) }),
    }),
  }),
});

/**
 * Calls an operation of EC2 that changes nothing (EC2 API Reference, "Query Requests") and returns its parsed XML. The
 * proxy comes from the environment, as for GitHub's API. Redirects are not followed.
 *
 * @throws AwsError with EC2's code if it refused, `NoCredentials`, or `NoAnswer` after two attempts
 */
export async function queryEc2(
  action: string,
  parameters: Readonly<Record<string, string>>,
  connection: Ec2Connection,
): Promise<unknown> {
  const body = new URLSearchParams({ Action: action, Version: VERSION, ...parameters }).toString();
  try {
    return await attempt(body, connection);
  } catch (error) {
    if (!(error instanceof AwsError && TRANSIENT.test(error.code))) throw error;
    return attempt(body, connection);
  }
}

async function attempt(body: string, connection: Ec2Connection): Promise<unknown> {
  const { endpoint, timeoutMs = TIMEOUT_MS } = connection;
  const headers = await signHeaders(body, connection);
  const { status, text } = await send({ url: endpoint.href, body, headers, timeoutMs });
  const { parseXML } = await import('./sdk.ts');
  const answer = parse(text, parseXML);
  if (status === 200 && answer !== null) return answer;
  const refused = refusal.safeParse(answer).data?.Response.Errors.Error;
  if (refused !== undefined) throw new AwsError(refused.Code, refused.Message);
  throw new AwsError('NoAnswer', `${endpoint.host} answered with status ${status} and no reason.`);
}

async function signHeaders(
  body: string,
  { region, endpoint, credentials }: Ec2Connection,
): Promise<Record<string, string>> {
  const signer = await createSigner({ service: 'ec2', region, credentials });
  const request: HttpRequest = {
    method: 'POST',
    protocol: endpoint.protocol,
    hostname: endpoint.hostname,
    path: endpoint.pathname,
    headers: {
      host: endpoint.host,
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
    },
    body,
  };
  const { headers } = await signer.sign(request);
  // Node's client sets its own.
  const { host: _, ...others } = headers;
  return others;
}

async function send(options: {
  url: string;
  body: string;
  headers: Record<string, string>;
  timeoutMs: number;
}): Promise<{ status: number; text: string }> {
  const { url, body, headers, timeoutMs } = options;
  const client = new HttpClient('postgres-cluster-action', [], {
    allowRedirects: false,
    keepAlive: false,
    socketTimeout: timeoutMs,
  });
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`no answer within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  try {
    const asked = (async () => {
      const { message } = await client.post(url, body, headers);
      return { status: message.statusCode ?? 0, text: await readBounded(message) };
    })();
    return await Promise.race([asked, late.promise]);
  } catch (error) {
    const { host } = new URL(url);
    throw new AwsError('NoAnswer', `${host}: ${readMessage(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
    client.dispose();
  }
}

async function readBounded(message: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`the answer is longer than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parse(text: string, parseXML: (xml: string) => unknown): unknown {
  try {
    return parseXML(text);
  } catch {
    return null;
  }
}
