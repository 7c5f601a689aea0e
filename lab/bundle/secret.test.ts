import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, listErrors, openBench, readPullNumber } from './bench.ts';

let bench: Bench;
let folder: string;
beforeAll(async () => {
  bench = await openBench();
  folder = mkdtempSync(join(tmpdir(), 'secret-'));
});
afterAll(async () => {
  await bench.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A program that runs as Terraform and fails every command with this message. */
function createFailingTerraform(name: string, words: string): string {
  const path = join(folder, name);
  writeFileSync(`${path}.txt`, words);
  writeFileSync(
    path,
    `#!/bin/sh\nif [ "$1" = version ]; then echo 'Terraform v1.11.4'; exit 0; fi\ncat '${path}.txt' >&2\nexit 1\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

/** Everything that a run published outside its log. */
async function readPublished(branch: string, inputs: Readonly<Record<string, string>>) {
  const opened = bench.github.openPullRequest({ branch, title: branch });
  const number = readPullNumber(opened);
  const before = bench.github.journal.length;
  const result = await bench.run(opened, inputs, {
    secrets: [...Object.values(bench.secrets), inputs['postgres-password'] ?? ''].filter(Boolean),
  });
  const comments = bench.github.listComments(number).map(({ body = '' }) => body);
  const sent = JSON.stringify(bench.github.journal.slice(before));
  return { result, comments, all: [...comments, result.summary, sent].join('\n') };
}

const decode = (markdown: string): string =>
  markdown
    .replaceAll('&#8203;', '')
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&amp;', '&');

describe('a password in the output of Terraform', () => {
  test.each(['p@ss_w0rd#1-of-2', '*<b>|`~[x](y)&amp;_', 'https://www.gh-1.example'])(
    '%s is hidden in the comment and the summary',
    async (password) => {
      const program = createFailingTerraform(
        'leaky',
        `Error: connecting as postgres\n\n  password "${password}" was refused by @acme/admins`,
      );
      const { result, comments, all } = await readPublished('leak', {
        'terraform-binary': program,
        'postgres-password': password,
      });
      expect(result.conclusion).toBe('failure');
      expect(comments.join()).toContain('connecting as postgres');
      expect(decode(comments.join())).toContain('password "***" was refused');
      expect(all).not.toContain(password);
      expect(decode(all)).not.toContain(password);
    },
  );
});

test('a job without AWS credentials says how to get some', async () => {
  const program = createFailingTerraform(
    'locked-out',
    'Error: No valid credential sources found\n\nError: failed to refresh cached credentials, no EC2 IMDS role found',
  );
  const { result, comments } = await readPublished('no-credentials', {
    'terraform-binary': program,
  });
  const next = /no AWS credentials\. Put aws-actions\/configure-aws-credentials.*id-token: write/;
  expect(listErrors(result)).toEqual([expect.stringMatching(next)]);
  expect(decode(comments.join())).toMatch(next);
});
