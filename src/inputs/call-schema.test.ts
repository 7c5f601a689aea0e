import { describe, expect, test } from 'vitest';
import type { Intent } from '../runner/intent.ts';
import { readStep } from './input-fixtures.ts';

describe('failover', () => {
  const failover = (body?: unknown): Intent => ({
    kind: 'failover',
    body,
    sha: 'a'.repeat(40),
    why: 'test',
  });

  test('reads the fenced node from the input or the event', () => {
    expect(readStep({}, failover()).inputs?.fenced).toBeNull();
    expect(readStep({ fenced: 'node-1' }, failover()).inputs?.fenced).toBe('node-1');
    expect(readStep({}, failover({ fenced: 'node-2' })).inputs?.fenced).toBe('node-2');
    expect(readStep({}, failover({ fenced: 'the old one' })).problems).toEqual([
      expect.stringMatching(/^client_payload\.fenced: "the old one" is not allowed\./),
    ]);
    expect(readStep({ request: '{"fenced": "x"}' }, failover()).problems).toEqual([
      expect.stringMatching(/^request\.fenced: "x" is not allowed\./),
    ]);
    expect(readStep({}, failover({ fenced: true })).problems).toEqual([
      expect.stringMatching(/^client_payload\.fenced: "true" is not a string/),
    ]);
    expect(readStep({}, failover({ node: 'node-2' })).problems).toEqual([
      'client_payload: unknown key "node". Allowed: fenced.',
    ]);
  });

  test('uses the cluster of the input request with an event', () => {
    const request = '{"replica_count": 3, "image_tag": "16", "primary": "node-2"}';
    const found = readStep({ request }, failover({ fenced: 'node-1' }));
    expect(found.problems).toEqual([]);
    expect(found.inputs).toMatchObject({
      fenced: 'node-1',
      spec: { replicaCount: 3, imageTag: '16', primary: 'node-2' },
    });
  });

  test('a deploy ignores the fenced node', () => {
    expect(readStep({ fenced: 'node-1' }).problems).toEqual([]);
  });
});

describe('a replacement', () => {
  const replace = (body?: unknown): Intent => ({
    ...{ kind: 'replace', body, sha: 'a'.repeat(40), why: 'test' },
  });

  test('reads the node and its volume from the input or the event', () => {
    expect(readStep({ replace: 'node-2' }, replace()).inputs).toMatchObject({
      ...{ replace: 'node-2', replaceVolume: false },
    });
    const body = { replace: 'node-3', replace_volume: true };
    expect(readStep({ replace: 'node-2' }, replace(body)).inputs).toMatchObject({
      ...{ replace: 'node-3', replaceVolume: true },
    });
    expect(readStep({}, replace({ replace: 'the slow one' })).problems).toEqual([
      expect.stringMatching(/^client_payload\.replace: "the slow one" is not allowed\./),
    ]);
    expect(readStep({ replace: 'node-2', 'replace-volume': 'yes' }, replace()).problems).toEqual([
      expect.stringMatching(/^replace-volume: "yes" is not allowed\./),
    ]);
    expect(readStep({}, replace({ fenced: 'node-2', replace: 'node-2' })).problems).toEqual([
      'client_payload: unknown key "fenced". Allowed: replace, replace_volume. Give it as the input fenced.',
    ]);
  });

  test('requires a node and the secrets of a login', () => {
    expect(readStep({}, replace()).problems).toEqual([
      'replace: missing. Name the node that gets a new instance, e.g. node-2.',
    ]);
    const noKey = readStep({ replace: 'node-2', 'postgres-password': '' }, replace());
    expect(noKey.problems).toEqual([expect.stringMatching(/^postgres-password: missing/)]);
  });

  test('refuses to destroy a volume without a label that allows it', () => {
    const step = { replace: 'node-2', 'replace-volume': 'true', 'allow-destroy-label': '' };
    expect(readStep(step, replace()).problems).toEqual([
      expect.stringMatching(/^replace-volume: "true" is not allowed.*allow-destroy-label/),
    ]);
  });

  test.each(['discard', 'replace'])('without a node starts no failover: %s', (key) => {
    // As the example's form does: no node means command: failover.
    const flag = key === 'discard' ? 'discard-data' : 'replace-volume';
    const failover: Intent = {
      kind: 'failover',
      body: undefined,
      sha: 'a'.repeat(40),
      why: 'test',
    };
    expect(readStep({ [flag]: 'true' }, failover).problems).toEqual([
      `${flag}: "true" is not allowed with command: failover. Name the node in ${key} and set command: ${key}, or leave ${flag} empty.`,
    ]);
    expect(readStep({ [flag]: 'false' }, failover).problems).toEqual([]);
  });

  test('a deploy ignores it', () => {
    expect(readStep({ replace: 'node-2' }).problems).toEqual([]);
  });
});

describe('a deletion', () => {
  const discard = (body?: unknown): Intent => ({
    ...{ kind: 'discard', body, sha: 'a'.repeat(40), why: 'test' },
  });

  test('reads the node and its data from the input or the event', () => {
    expect(readStep({ discard: 'node-2' }, discard()).inputs).toMatchObject({
      ...{ discard: 'node-2', discardData: false },
    });
    const body = { discard: 'node-3', discard_data: true };
    expect(readStep({ discard: 'node-2' }, discard(body)).inputs).toMatchObject({
      ...{ discard: 'node-3', discardData: true },
    });
    expect(readStep({}, discard({ discard: 'data.old-x' })).problems).toEqual([
      expect.stringMatching(/^client_payload\.discard: "data\.old-x" is not allowed\./),
    ]);
    expect(readStep({}, discard({ replace: 'node-2', discard: 'node-2' })).problems).toEqual([
      'client_payload: unknown key "replace". Allowed: discard, discard_data. Give it as the input replace.',
    ]);
  });

  test('requires a node and the secrets of a login', () => {
    expect(readStep({}, discard()).problems).toEqual([
      'discard: missing. Name the node whose kept data directories are deleted, e.g. node-2.',
    ]);
    const noKey = readStep({ discard: 'node-2', 'postgres-password': '' }, discard());
    expect(noKey.problems).toEqual([expect.stringMatching(/^postgres-password: missing/)]);
  });

  test.each(['discard', 'replace'])('without a node starts no failover: %s', (key) => {
    // As the example's form does: no node means command: failover.
    const flag = key === 'discard' ? 'discard-data' : 'replace-volume';
    const failover: Intent = {
      kind: 'failover',
      body: undefined,
      sha: 'a'.repeat(40),
      why: 'test',
    };
    expect(readStep({ [flag]: 'true' }, failover).problems).toEqual([
      `${flag}: "true" is not allowed with command: failover. Name the node in ${key} and set command: ${key}, or leave ${flag} empty.`,
    ]);
    expect(readStep({ [flag]: 'false' }, failover).problems).toEqual([]);
  });

  test('a deploy ignores it', () => {
    expect(readStep({ discard: 'node-2', 'discard-data': 'true' }).problems).toEqual([]);
  });

  test('does not choose between two nodes', () => {
    const request = '{"discard": "node-3", "discard_data": false}';
    expect(readStep({ request, discard: 'node-2' }, discard()).problems).toEqual([
      'request.discard: "node-3" is not what the input discard says, which is "node-2". Give it in one place.',
    ]);
    expect(readStep({ request, 'discard-data': 'true' }, discard()).problems).toEqual([
      'request.discard_data: "false" is not what the input discard-data says, which is "true". Give it in one place.',
    ]);
    const same = { request, discard: 'node-3', 'discard-data': 'false' };
    expect(readStep(same, discard()).problems).toEqual([]);
    const event = discard({ discard: 'node-3' });
    expect(readStep({ request, discard: 'node-2' }, event).inputs?.discard).toBe('node-3');
  });
});

describe('the removal of a cluster', () => {
  const destroy = (body?: unknown, event = 'workflow_dispatch'): Intent => ({
    ...{ kind: 'destroy', body, event, sha: 'a'.repeat(40), why: 'test' },
  });
  const orders = { 'cluster-name': 'orders' };

  test('is confirmed with its name, in the input or the event, and needs no secret', () => {
    const secrets = { 'postgres-password': '', 'replication-password': '', 'ssh-private-key': '' };
    const asked = readStep({ ...orders, ...secrets, destroy: 'orders' }, destroy());
    expect(asked.inputs).toMatchObject({ destroy: 'orders' });
    const sent = destroy({ destroy: 'orders' }, 'repository_dispatch');
    expect(readStep(orders, sent).problems).toEqual([]);
  });

  test('without the name, or with another, names both', () => {
    expect(readStep(orders, destroy()).problems).toEqual([
      'destroy: missing. To destroy the cluster orders with all its nodes and volumes, confirm it with its name: destroy: orders.',
    ]);
    expect(readStep({ ...orders, destroy: 'billing' }, destroy()).problems).toEqual([
      expect.stringMatching(
        /^destroy: "billing" is not the name of this cluster, which is orders\./,
      ),
    ]);
    expect(readStep(orders, destroy({ destroy: 'Orders' })).problems).toEqual(
      expect.arrayContaining([expect.stringMatching(/^client_payload\.destroy: "Orders"/)]),
    );
    expect(readStep(orders, destroy({ destroy: true })).problems[0]).toMatch(
      /^client_payload\.destroy: .*not a string/,
    );
    expect(
      readStep({ ...orders, destroy: 'orders' }, destroy({ destroy: 'billing' })).problems,
    ).toEqual([expect.stringMatching(/^client_payload\.destroy: "billing" is not the name/)]);
  });

  test('is refused where no volume may be destroyed', () => {
    const inputs = { ...orders, destroy: 'orders', 'allow-destroy-label': '' };
    expect(readStep(inputs, destroy()).problems).toEqual([
      expect.stringMatching(/^command: "destroy" is not allowed\. .* allow-destroy-label is empty/),
    ]);
  });

  test.each(['push', 'schedule', 'pull_request', 'pull_request_target', 'merge_group'])(
    'is refused on an event that comes by itself: %s',
    (event) => {
      expect(
        readStep({ ...orders, destroy: 'orders' }, destroy(undefined, event)).problems,
      ).toEqual([expect.stringContaining(`is not allowed on the event ${event}. Only a person`)]);
    },
  );

  test('a deploy ignores it', () => {
    expect(readStep({ ...orders, destroy: 'orders' }).problems).toEqual([]);
  });
});
