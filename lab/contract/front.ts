import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { REFUSED } from './policies.ts';
import { dropWait, readRoute53Call } from './route53.ts';

/** A call of an AWS API: service and action as IAM writes them, and the parameters of AWS's query protocol. */
export interface ApiCall {
  /** `ec2:RunInstances` */
  readonly action: string;
  readonly parameters: URLSearchParams;
}

/**
 * Calls that moto does not have, and that only its own faults cause: they repair the description of a rule that it
 * forgot.
 */
const ACCEPTED = ['ec2:ModifySecurityGroupRules'];

/** What moto answers with status 500, which the provider would repeat for minutes. */
const MISSING =
  '<Response><Errors><Error><Code>InvalidAction</Code><Message>moto does not have this action.</Message></Error></Errors><RequestID>0</RequestID></Response>';

/** What EC2 answers to a role without the permission. */
const REFUSAL =
  '<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors><RequestID>0</RequestID></Response>';

/** A server in front of moto: it records the calls, and refuses those that the policies do not allow. */
export interface Front {
  readonly url: string;
  /** The calls so far, in order. */
  readonly calls: readonly ApiCall[];
  stop(): Promise<void>;
}

/** Reads service and action of a signed request; the signature's scope names the service. */
export function readCall(
  { method = 'POST', url = '/', headers }: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  body: string,
): ApiCall | null {
  const scope = /Credential=[^/]+\/\d+\/[^/]+\/([a-z0-9]+)\//;
  const service = scope.exec(headers.authorization ?? '')?.[1];
  if (service === 'route53') return readRoute53Call(method, url, body);
  const parameters = new URLSearchParams(body);
  const name = parameters.get('Action');
  return service === undefined || name === null
    ? null
    : { action: `${service}:${name}`, parameters };
}

/**
 * moto's DescribeInstances has no metadata options, and the provider would wait for them without end; the templates'
 * are the same for all instances. It also names the root device after an image that is not the instance's.
 */
function repair(instances: string): string {
  const options =
    '<metadataOptions><state>applied</state><httpTokens>required</httpTokens><httpPutResponseHopLimit>1</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint><httpProtocolIpv6>disabled</httpProtocolIpv6><instanceMetadataTags>disabled</instanceMetadataTags></metadataOptions>';
  return instances
    .replaceAll('<instanceState>', `${options}<instanceState>`)
    .replaceAll(
      '<rootDeviceName>/dev/sda1</rootDeviceName>',
      '<rootDeviceName>/dev/xvda</rootDeviceName>',
    );
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

function forward(url: URL, { method = 'POST', headers }: IncomingMessage, body: Buffer) {
  return new Promise<Answer>((resolve, reject) => {
    const forwarded = request(url, { method, headers }, async (response) => {
      try {
        const parts: Buffer[] = [];
        for await (const part of response) parts.push(part);
        const text = Buffer.concat(parts).toString('utf8');
        resolve({ status: response.statusCode ?? 502, headers: response.headers, text });
      } catch (error) {
        reject(error);
      }
    });
    forwarded.on('error', reject);
    forwarded.end(body);
  });
}

/** Starts the server on a free port of the loopback interface. */
export async function startFront(target: string): Promise<Front> {
  const calls: ApiCall[] = [];
  const change = (call: ApiCall, text: string): string => {
    if (call.action === 'ec2:DescribeInstances') return repair(text);
    // The first change of records is awaited, to see how the provider asks.
    const isAwaited = calls.some(({ action }) => action === 'route53:GetChange');
    return isAwaited && call.action === 'route53:ChangeResourceRecordSets' ? dropWait(text) : text;
  };
  const serve = async (incoming: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part);
    const body = Buffer.concat(parts);
    const call = readCall(incoming, body.toString('utf8'));
    if (call !== null) calls.push(call);
    if (call !== null && REFUSED.includes(call.action)) {
      answer.writeHead(403, { 'content-type': 'text/xml' }).end(REFUSAL);
      return;
    }
    if (call !== null && ACCEPTED.includes(call.action)) {
      const name = `${call.action.replace('ec2:', '')}Response`;
      answer.writeHead(200, { 'content-type': 'text/xml' });
      answer.end(`<${name}><return>true</return></${name}>`);
      return;
    }
    const { status, headers, text } = await forward(
      new URL(incoming.url ?? '/', target),
      incoming,
      body,
    );
    if (call !== null) answer.setHeader('content-type', 'text/xml');
    else if (headers['content-type']) answer.setHeader('content-type', headers['content-type']);
    if (status === 500) {
      answer.writeHead(400).end(MISSING);
      return;
    }
    answer.writeHead(status).end(call === null ? text : change(call, text));
  };
  const server = createServer((incoming, answer) => {
    serve(incoming, answer).catch(() => answer.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
