import { describe, expect, test } from 'vitest';
import type { Intent } from '../runner/intent.ts';
import { createOperation, DEPLOY, readStep } from './input-fixtures.ts';

describe('request body', () => {
  test('describes the cluster, and messages name it', () => {
    const body = { instance_type: 't2.small', replica_count: 4, region: 'us-east-1' };
    expect(readStep({ request: JSON.stringify(body) }).inputs?.spec).toMatchObject({
      instanceType: 't2.small',
      replicaCount: 4,
    });
    expect(readStep({ request: '{"replica_count": 1000}' }).problems).toEqual([
      'request.replica_count: "1000" is not allowed. Allowed: a whole number from 0 to 15, e.g. 2.',
    ]);
  });

  test.each<[string, Intent, string, RegExp]>([
    ['not JSON', DEPLOY, '{replica_count: 2}', /^request: not JSON/],
    ['not an object', DEPLOY, '[1]', /^request: not a JSON object/],
    [
      'an unknown key',
      DEPLOY,
      '{"replicas": 2}',
      /^request: unknown key "replicas"\. Allowed: instance_type/,
    ],
    [
      'a value of another type',
      DEPLOY,
      '{"replica_count": [2]}',
      /^request\.replica_count: .*not a string/,
    ],
  ])('%s is a problem', (_, intent, request, expected) => {
    const { problems } = readStep({ request }, intent);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
  });

  test('is read from a repository_dispatch event', () => {
    const body = {
      replica_count: 2,
      max_connections: 200,
      shared_buffers: '256MB',
      region: 'us-east-1',
      image_tag: '14-alpine',
    };
    const { inputs } = readStep({}, createOperation('configure', body));
    expect(inputs?.spec).toMatchObject({
      imageTag: '14-alpine',
      settings: { max_connections: '200', shared_buffers: '256MB' },
    });
    expect(readStep({}, createOperation('plan', { replica_count: 2 })).problems).toEqual([
      'client_payload: unknown key "replica_count". Allowed: an empty body, as the event is about the cluster that the inputs of the action describe. Remove the key and give its value as an input.',
    ]);
    expect(readStep({}, createOperation('generate', { image_tag: '17' })).problems).toEqual([
      expect.stringMatching(/^client_payload: unknown key "image_tag"\. Allowed: instance_type, /),
    ]);
  });
});

describe('the input request', () => {
  const request = '{"instance_type": "t3.large", "image_tag": "16", "settings": "jit = off"}';

  test.each(['generate', 'plan', 'apply', 'configure'] as const)(
    'describes the cluster for command: %s',
    (command) => {
      const { inputs: found, problems } = readStep({ request }, createOperation(command));
      expect(problems).toEqual([]);
      expect(found?.spec).toMatchObject({ instanceType: 't3.large', imageTag: '16' });
    },
  );

  test('describes the cluster for an event, whose body takes precedence', () => {
    const planned = readStep({ request }, createOperation('plan', {}));
    expect(planned.inputs?.spec).toMatchObject({ instanceType: 't3.large', imageTag: '16' });
    const configured = readStep({ request }, createOperation('configure', { image_tag: '17' }));
    expect(configured.inputs?.spec).toMatchObject({ imageTag: '17', instanceType: 't3.large' });
  });
});
