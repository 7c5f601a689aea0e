import { cleanText } from '../messages/clean-text.ts';
import type { TunnelClosure, TunnelResult } from './message.ts';

/** Why a tunnel could not be opened. */
export interface TunnelFailure {
  /** Sentences with the next step. */
  readonly cause: string;
  /** Whether another attempt may succeed within seconds. */
  readonly isTransient: boolean;
}

/** The most of AWS's words that are shown, in code units. */
const MAX_WORDS = 300;

const final = (cause: string): TunnelFailure => ({ cause, isTransient: false });
const transient = (cause: string): TunnelFailure => ({ cause, isTransient: true });

/** Explains a failed attempt to open a tunnel through an endpoint; `host` is the endpoint's name. */
export function explainResult(
  result: Extract<TunnelResult, { kind: 'status' | 'error' }>,
  endpoint: { readonly id: string; readonly host: string },
): TunnelFailure {
  return result.kind === 'status'
    ? explainStatus(result, endpoint.id)
    : explainError(result.code, endpoint);
}

/** Explains why a tunnel through the endpoint `id` ended before ssh ended it. */
export function explainClosure({ reason }: TunnelClosure, id: string): string {
  const words = shorten(reason);
  const what =
    words === '' ? `The connection to ${id} was lost.` : `${id} closed the tunnel (${words}).`;
  return `${what} Run this again. If that does not help, look at the status checks of the instance in EC2.`;
}

function explainStatus(
  { status, body }: { status: number; body: string },
  id: string,
): TunnelFailure {
  const { code, message } = readRefusal(body);
  if (/AccessDenied|NotAuthorized|UnauthorizedOperation/.test(code) || (status === 403 && !code)) {
    return final(
      `The job's role lacks the permission ec2-instance-connect:OpenTunnel for ${id}. Give it the role's policy of this version (setup/aws).`,
    );
  }
  if (
    /Expired|Signature|UnrecognizedClient|InvalidClientToken|MissingAuth|AuthFailure/.test(code)
  ) {
    return final(
      `AWS does not accept the job's credentials for ${id} (${code}). Let the job get credentials that outlive it, and check the runner's clock.`,
    );
  }
  if (/Throttl|RequestLimit/i.test(code)) {
    return transient(
      `AWS limits how fast tunnels through ${id} may be opened (${code}). Run this again in a minute.`,
    );
  }
  if (status === 429 || /TooMany|LimitExceeded|maximum|concurrent/i.test(`${code} ${message}`)) {
    return transient(
      `All connections of ${id} are in use: it has 20 at a time. Wait until other runs and people have closed theirs, and run this again.`,
    );
  }
  if (/NotFound/.test(code)) {
    return final(
      `${id} does not exist any more. Deploy, or name an existing one in instance-connect-endpoint-id.`,
    );
  }
  const words = [code, shorten(message)].filter((text) => text !== '').join(': ');
  const cause = `${id} refused the tunnel with status ${status}${words === '' ? '' : ` (${words})`}.`;
  return status >= 500
    ? transient(`${cause} Run this again.`)
    : final(`${cause} Fix what it names, and run this again.`);
}

function explainError(
  code: string,
  { id, host }: { readonly id: string; readonly host: string },
): TunnelFailure {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const cause = `The runner cannot resolve the name of ${id} (${host}). Let it use a DNS server that resolves public names, and run this again.`;
    return { cause, isTransient: code === 'EAI_AGAIN' };
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return final(
      `The runner does not trust the certificate of ${host} (${code}). If a proxy reads its traffic, name the file of that proxy's certificate in NODE_EXTRA_CA_CERTS.`,
    );
  }
  if (code.startsWith('ERR_PROXY')) {
    return final(
      `The runner's proxy does not connect to ${host} on port 443 (${code}). Allow that, or add the name to NO_PROXY.`,
    );
  }
  const cause = `${id} does not answer (${host}, ${code}). The runner must reach it on port 443; a proxy in HTTPS_PROXY must allow WebSockets.`;
  return { cause, isTransient: code === 'ECONNRESET' || code === 'ETIMEDOUT' };
}

/** Reads AWS's JSON; the names of its fields differ between services. */
function readRefusal(body: string): { code: string; message: string } {
  let found: Record<string, unknown>;
  try {
    found = Object(JSON.parse(body)) as Record<string, unknown>;
  } catch {
    return { code: '', message: '' };
  }
  const read = (...names: string[]) => {
    const value = names.map((name) => found[name]).find((one) => typeof one === 'string');
    return typeof value === 'string' ? value : '';
  };
  const code = read('ErrorCode', 'Code', 'code', '__type').replace(/^.*#/, '');
  return { code: /^[\w.]{1,80}$/.test(code) ? code : '', message: read('Message', 'message') };
}

function shorten(text: string): string {
  const line = cleanText(text).replaceAll('\n', ' ').trim();
  return line.length > MAX_WORDS ? `${line.slice(0, MAX_WORDS)}…` : line;
}
