import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const MODULE = join(import.meta.dirname, '../../setup/aws');

/** The module's files; `without` names resources to take out, as `file.tf type.name`. */
export function readModule(without: readonly string[] = []): Map<string, string> {
  const names = [
    ...readdirSync(MODULE).filter((name) => name.endsWith('.tf')),
    ...readdirSync(join(MODULE, 'policies')).map((name) => `policies/${name}`),
  ];
  const files = new Map(names.map((name) => [name, readFileSync(join(MODULE, name), 'utf8')]));
  for (const one of without) {
    const [file = '', resource = ''] = one.split(' ');
    const block = new RegExp(
      `^resource "${resource.replace('.', '" "')}" \\{\\n[\\s\\S]*?^\\}\\n`,
      'm',
    );
    // Nothing may depend on it either.
    const line = new RegExp(`^ +${resource.replace('.', '\\.')},\\n`, 'm');
    const text = files.get(file) ?? '';
    if (!block.test(text)) throw new Error(`${file} has no ${resource}`);
    files.set(file, text.replace(block, ''));
    files.set('outputs.tf', (files.get('outputs.tf') ?? '').replace(line, ''));
  }
  return files;
}

/** Asks services of AWS that moto serves at `endpoint`. */
export function connectServices(endpoint: string) {
  /** Asks a service of AWS; returns the answer's XML. */
  const ask = async (service: string, path: string, body: string): Promise<string> => {
    const scope = `lab/20260101/us-east-1/${service}/aws4_request`;
    const answer = await fetch(`${endpoint}${path}`, {
      method: 'POST',
      headers: {
        authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
        'content-type': body.startsWith('<') ? 'text/xml' : 'application/x-www-form-urlencoded',
      },
      body,
    });
    if (!answer.ok) throw new Error(`${service}: ${answer.status} ${await answer.text()}`);
    return answer.text();
  };
  const askIam = (action: string, parameters: { [name: string]: string }) =>
    ask(
      'iam',
      '/',
      String(new URLSearchParams({ Action: action, Version: '2010-05-08', ...parameters })),
    );
  const readDocument = (xml: string, element: string) => {
    const text = new RegExp(`<${element}>([\\s\\S]*?)</${element}>`).exec(xml)?.[1] ?? '';
    const plain = text.replaceAll('&quot;', '"').replaceAll('&#34;', '"').replaceAll('&amp;', '&');
    return JSON.parse(plain.startsWith('%7B') ? decodeURIComponent(plain) : plain);
  };

  return { ask, askIam, readDocument };
}
