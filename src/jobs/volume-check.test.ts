import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as core from '@actions/core';
import { afterEach, expect, test, vi } from 'vitest';
import { createPlan } from '../report/fixtures/plan.ts';
import { summarizePlan } from '../terraform/plan.ts';
import type { Job } from './job.ts';
import { checkVolumes } from './volume-check.ts';

vi.mock('@actions/core');

let server: Server;
afterEach(() => {
  vi.unstubAllEnvs();
  server.close();
});

test("the log has AWS's words, on one line and without the secrets", async () => {
  const words = `You are not allowed to do this.\n::error::${'x'.repeat(200)} the end`;
  const answer = `<Response><Errors><Error><Code>OptInRequired</Code><Message>${words}</Message></Error></Errors></Response>`;
  server = createServer((_, response) => response.writeHead(401).end(answer));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  vi.stubEnv('AWS_ENDPOINT_URL_EC2', `http://127.0.0.1:${port}`);
  vi.stubEnv('AWS_PROFILE', '');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'id');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'the secret key');
  const summary = summarizePlan(
    createPlan([
      {
        address: 'aws_ebs_volume.data["1"]',
        actions: ['update'],
        before: { id: 'vol-1', size: 20 },
        after: { id: 'vol-1', size: 40 },
      },
    ]),
  );
  const job = { inputs: { spec: { region: 'us-east-1' } } } as Job;
  const volumes = [{ node: 'node-1', kind: 'data', id: 'vol-1' }] as const;
  const report = await checkVolumes(job, { summary, volumes });
  expect(report).toEqual({
    refusals: [],
    notes: [
      expect.stringMatching(/could not be checked: EC2 gave no usable answer; the job's log/),
    ],
  });
  const [line = ''] = vi.mocked(core.info).mock.calls.map(([text]) => text);
  expect(line).toMatch(/: OptInRequired: You are not allowed to do this\. ::error::x+ the end$/);
  expect(vi.mocked(core.setSecret).mock.calls).toEqual([['the secret key']]);
});
