import { expect, test } from 'vitest';
import { createPlan } from '../report/fixtures/plan.ts';
import { createLock } from '../terraform/fixtures.ts';
import { summarizePlan } from '../terraform/plan.ts';
import { comparePlans } from './compare.ts';
import { buildRecord } from './record.ts';

const createRecord = ({
  providerLock = createLock() as string | null,
  image = 'sha256:1' as string | null,
  address = 'aws_vpc.own[0]',
} = {}) =>
  buildRecord(summarizePlan(createPlan([{ address, actions: ['create'] }])), {
    identity: 'postgres/abc',
    commit: 'a'.repeat(40),
    image,
    providerLock,
    redact: (text) => text,
  });
type Overrides = Parameters<typeof createRecord>[0];

test.each<[string, Overrides, readonly RegExp[]]>([
  ['the same', {}, []],
  [
    'another release of the provider',
    { providerLock: createLock({ version: '6.9.0' }) },
    [/^The plan was reviewed with hashicorp\/aws 6\.8\.0; it is 6\.9\.0 now\.$/],
  ],
  [
    'another provider and another image',
    { providerLock: createLock({ hash: 'B' }), image: 'sha256:2' },
    [/^hashicorp\/aws 6\.8\.0 has other checksums/, /^image: its digest is sha256:2/],
  ],
  [
    'another plan',
    { address: 'aws_vpc.other' },
    [/^aws_vpc\.other: would be created/, /^aws_vpc\.own\[0\]: would no longer be created/],
  ],
])('%s', (_, now, sentences) => {
  for (const partly of [false, true]) {
    const found = comparePlans(createRecord(now), { reviewed: createRecord(), partly });
    const expected = partly ? sentences.filter((one) => !/no longer/.test(one.source)) : sentences;
    expect(found).toEqual(expected.map((one) => expect.stringMatching(one)));
  }
});
