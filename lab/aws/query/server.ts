import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiError } from '../api-error.ts';
import { ACCOUNT } from '../world.ts';
import { ACTIONS } from './actions.ts';
import type { QueryContext, Xml } from './answer.ts';
import { type AccessKey, LAB_KEY, verifySignature } from './signature.ts';

/** A running EC2 Query API. */
export interface QueryServer {
  /** The value of AWS_ENDPOINT_URL_EC2. */
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** HTTP statuses of refusals other than 400. */
const STATUSES: { readonly [code: string]: number } = {
  AuthFailure: 401,
  UnauthorizedOperation: 403,
};

/**
 * Serves the EC2 Query API (EC2 API Reference, "Query Requests") on the loopback interface: signed requests in, XML as
 * EC2 writes it out. Operations in `tables.forbidden` are not allowed.
 */
export async function serveQueries(
  context: Omit<QueryContext, 'region'>,
  key: AccessKey = LAB_KEY,
): Promise<QueryServer> {
  const server = createServer(async (request, response) => {
    const id = randomUUID();
    const { status, body } = await answer(request, { id, context, key }).catch((error) =>
      refuse(error, id),
    );
    response.writeHead(status, {
      'content-type': 'text/xml;charset=UTF-8',
      'x-amzn-requestid': id,
    });
    response.end(`<?xml version="1.0" encoding="UTF-8"?>\n${body}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  { id, context, key }: { id: string; context: Omit<QueryContext, 'region'>; key: AccessKey },
): Promise<{ status: number; body: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  const { method = '', url: target = '/', headers } = request;
  const { tables, clock } = context.world;
  const region = verifySignature({ method, target, headers, body }, { key, now: clock.now() });
  const parameters = new URLSearchParams(method === 'GET' ? target.split('?')[1] : body);
  const name = parameters.get('Action') ?? '';
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined)
    throw new ApiError('InvalidAction', `The action ${name} is not valid for this web service.`);
  if (tables.forbidden.includes(name)) {
    throw new ApiError(
      'UnauthorizedOperation',
      `You are not authorized to perform this operation. User: arn:aws:iam::${ACCOUNT}:user/lab is not authorized to perform: ec2:${name} because no identity-based policy allows the ec2:${name} action`,
    );
  }
  const content = await action(parameters, { ...context, region });
  const xmlns = 'http://ec2.amazonaws.com/doc/2016-11-15/';
  return {
    status: 200,
    body: `<${name}Response xmlns="${xmlns}">\n${writeXml({ requestId: id, ...content })}</${name}Response>`,
  };
}

function refuse(error: unknown, id: string): { status: number; body: string } {
  const { code, message } =
    error instanceof ApiError ? error : { code: 'InternalError', message: String(error) };
  const status = code === 'InternalError' ? 500 : (STATUSES[code] ?? 400);
  const body = writeXml({ Errors: { Error: { Code: code, Message: message } }, RequestID: id });
  return { status, body: `<Response>${body}</Response>` };
}

/** Writes values as elements; the members of a list are called `item`. */
function writeXml(content: { readonly [name: string]: Xml }): string {
  return Object.entries(content)
    .map(([name, value]) =>
      value === undefined ? '' : `<${name}>${writeValue(value)}</${name}>\n`,
    )
    .join('');
}

function writeValue(value: Exclude<Xml, undefined>): string {
  if (Array.isArray(value)) return value.map((item) => writeXml({ item })).join('');
  if (typeof value === 'object') return writeXml(value as { [name: string]: Xml });
  return String(value).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
