import { describe, expect, test } from 'vitest';
import type { Intent } from '../runner/intent.ts';
import { readStep } from './input-fixtures.ts';

const backup = '{"bucket": "acme-backups"}';
const SUBNET = 'subnet-0a1b2c3d4e5f60718';
const rehearse = (body?: unknown): Intent => ({
  ...{ kind: 'rehearse', body, sha: 'a'.repeat(40), why: 'test' },
});

describe('command: rehearse', () => {
  test('needs the secrets of a login, and no backups to remove what is left', () => {
    expect(readStep({ backup }, rehearse()).problems).toEqual([]);
    expect(readStep({ backup }, rehearse({})).problems).toEqual([]);
    expect(
      readStep({ 'postgres-password': '', 'ssh-private-key': '' }, rehearse()).problems,
    ).toEqual([
      expect.stringMatching(/^postgres-password: missing/),
      expect.stringMatching(/^ssh-private-key: missing/),
    ]);
  });

  test('has no parameters', () => {
    expect(readStep({ backup }, rehearse({ time: 'now' })).problems).toEqual([
      expect.stringMatching(/^client_payload: unknown key "time"\. Allowed: an empty body/),
    ]);
  });

  test('is refused for a name, and a backend, without room for a second one', () => {
    const http = { backend: 'http', 'backend-config': 'address = "https://states.example.com"' };
    expect(
      readStep({ backup, 'cluster-name': 'o'.repeat(31), ...http }, rehearse()).problems,
    ).toEqual([
      expect.stringMatching(
        /^command: "rehearse" is not allowed\. .* at most 30 can be rehearsed\.$/,
      ),
      expect.stringMatching(/^backend: a rehearsal keeps .* the backend http has no name/),
    ]);
    expect(readStep({ backup, 'cluster-name': 'o'.repeat(30) }, rehearse()).problems).toEqual([]);
    // Only a rehearsal needs them.
    const other: Intent = { kind: 'backup', body: undefined, sha: 'a'.repeat(40), why: 'test' };
    expect(readStep({ backup, 'cluster-name': 'o'.repeat(31), ...http }, other).problems).toEqual(
      [],
    );
  });

  test.each<[string, Record<string, string>, RegExp | null]>([
    ['an endpoint in a VPC of its own', { 'ssh-cidrs': '' }, null],
    [
      "the cluster's endpoint in given subnets",
      { 'ssh-cidrs': '', 'subnet-ids': SUBNET },
      /^subnet-ids: the endpoint that this cluster has made is the only one/,
    ],
    [
      'a given endpoint',
      {
        ...{ 'ssh-cidrs': '', 'subnet-ids': SUBNET },
        'instance-connect-endpoint-id': 'eice-0a1b2c3d4e5f60718',
      },
      null,
    ],
    ['public addresses', { 'subnet-ids': SUBNET }, null],
    [
      'private addresses of another VPC',
      { 'ssh-address': 'private' },
      /^ssh-address: a rehearsal has a VPC of its own/,
    ],
    [
      'private addresses of given subnets',
      { 'ssh-address': 'private', 'subnet-ids': SUBNET },
      null,
    ],
  ])('needs a way to its nodes: %s', (_, given, problem) => {
    expect(readStep({ backup, ...given }, rehearse()).problems).toEqual(
      problem === null ? [] : [expect.stringMatching(problem)],
    );
  });

  test('reports an incomplete backend once', () => {
    const config = 'bucket = "states"\nregion = "us-east-1"';
    expect(readStep({ backup, 'backend-config': config }, rehearse()).problems).toEqual([
      expect.stringMatching(/key is missing; backend s3 needs it/),
    ]);
  });
});
