import { describe, expect, test } from 'vitest';
import { KEY_A, KEY_B, MINIMAL_FILE, readInputsFromFile } from './cluster-file-fixtures.ts';
import { createOperation, readStep } from './input-fixtures.ts';
import type { RawInputs } from './step-inputs.ts';

describe('a value in two places', () => {
  test.each<[string, RawInputs, string]>([
    [
      'the input request and a single input',
      { request: '{"replica_count": 4}', 'replica-count': '3' },
      'request.replica_count: "4" is not what the input replica-count says, which is "3". Give replica_count in one place.',
    ],
    [
      'a single input that says what the default is',
      { request: '{"replica_count": 4}', 'replica-count': '2' },
      'request.replica_count: "4" is not what the input replica-count says, which is "2". Give replica_count in one place.',
    ],
    [
      'settings',
      { request: '{"settings": "jit = off"}', settings: 'jit = on' },
      'request.settings: is not what the input settings says. Give settings in one place.',
    ],
  ])('is a conflict: %s', (_, inputs, problem) => {
    expect(readStep(inputs).problems).toEqual([problem]);
  });

  test('may be equal', () => {
    const request = '{"replica_count": "03", "settings": "jit = off\\nwork_mem = 8MB"}';
    const inputs = { request, 'replica-count': '3', settings: "Work_Mem = '8MB'\njit = off" };
    expect(readStep(inputs).problems).toEqual([]);
  });

  test('is overridden by an event', () => {
    const event = createOperation('generate', { replica_count: 4 });
    const { inputs } = readStep({ 'replica-count': '3', request: '{"replica_count": 3}' }, event);
    expect(inputs?.spec.replicaCount).toBe(4);
  });
});

describe('a cluster file and another source', () => {
  test('keys that differ only in their comment are equal, and keys are not shown', async () => {
    const file = `${MINIMAL_FILE}ssh_public_key: ${KEY_A} orders\n`;
    expect(
      (await readInputsFromFile(file, { step: { 'ssh-public-key': KEY_A } })).problems,
    ).toEqual([]);
    expect(
      (await readInputsFromFile(file, { step: { 'ssh-public-key': KEY_B } })).problems,
    ).toEqual([
      'clusters/orders.yml:4: ssh_public_key: is not what the input ssh-public-key says. Give ssh_public_key in one place.',
    ]);
    const armour = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwsecretsec\n-----END PRIVATE KEY-----';
    const { problems } = await readInputsFromFile(file, { step: { 'ssh-public-key': armour } });
    expect(problems).toEqual([expect.stringMatching(/^ssh-public-key: holds a private key/)]);
  });

  test('a conflict between file and step names both values', async () => {
    const { problems } = await readInputsFromFile(MINIMAL_FILE, {
      step: { 'cluster-name': 'billing' },
    });
    expect(problems).toEqual([
      'clusters/orders.yml:1: cluster_name: "orders" is not what the input cluster-name says, which is "billing". Give cluster_name in one place.',
    ]);
  });

  test('an event cannot override a file', async () => {
    const call = { intent: createOperation('generate', { replica_count: 4 }) };
    expect((await readInputsFromFile(`${MINIMAL_FILE}replica_count: 3\n`, call)).problems).toEqual([
      'clusters/orders.yml:4: replica_count: 3 is not what client_payload.replica_count says, which is "4". Give replica_count in one place.',
    ]);
    expect((await readInputsFromFile(`${MINIMAL_FILE}replica_count: 4\n`, call)).problems).toEqual(
      [],
    );
  });
});
