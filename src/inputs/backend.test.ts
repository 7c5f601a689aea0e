import { describe, expect, test } from 'vitest';
import { readStep } from './input-fixtures.ts';

describe('backend', () => {
  test('a local state must be requested explicitly', () => {
    expect(readStep({ backend: '', 'backend-config': '' }).problems).toEqual([
      expect.stringMatching(/^backend: missing\. Terraform would keep its state/),
    ]);
    expect(readStep({ backend: 'local', 'backend-config': '' }).inputs?.backend?.type).toBe(
      'local',
    );
  });

  test.each<[string, string, RegExp]>([
    ['a secret', 'secret_key = "x"', /^backend-config: secret_key is a secret/],
    [
      'a malformed line',
      'bucket "states"',
      /^backend-config: "bucket \\"states\\"" is not allowed/,
    ],
    ['a missing key', 'bucket = "states"', /^backend-config: key is missing/],
    [
      'a template',
      'bucket = "\u0024{file(1)}"\nkey = "k"\nregion = "r"',
      /^backend-config: bucket has \$\{ or %\{, which begins an expression/,
    ],
    [
      'a template in a block',
      '{"bucket":"b","key":"k","region":"r","assume_role":{"role_arn":"%{ if true }"}}',
      /^backend-config: role_arn has \$\{ or %\{/,
    ],
    ['broken JSON', '{"bucket": }', /^backend-config: not a JSON object/],
    ['a secret inside', '{"assume_role":{"token":"x"}}', /^backend-config: token is a secret/],
    ['a client key', 'client_private_key_pem = "x"', /client_private_key_pem is a secret/],
  ])('%s is a problem', (_, config, expected) => {
    expect(readStep({ 'backend-config': config }).problems[0]).toMatch(expected);
  });

  test('a harmless setting with a secret word in its name is allowed', () => {
    const config = 'bucket = "b"\nkey = "k"\nregion = "r"\nskip_credentials_validation = true';
    expect(readStep({ 'backend-config': config }).problems).toEqual([]);
  });

  test('accepts JSON, and locks with DynamoDB if a table is given', () => {
    const config = { bucket: 'b', key: 'k', region: 'r', dynamodb_table: 't' };
    expect(readStep({ 'backend-config': JSON.stringify(config) }).inputs?.backend?.config).toEqual({
      ...config,
      encrypt: true,
    });
  });
});

describe('a secret in backend-config is not shown', () => {
  test.each<[string, string, string]>([
    ['http', 'address = "https://user:hunter2@state.example"', 'address'],
    ['http', '{"address": "https://hunter2@state.example/x"}', 'address'],
    ['http', 'address = "https://state.example/x?private_token=hunter2"', 'address'],
    ['consul', '{"x": [{"inner": ["http://u:hunter2@h/"]}]}', 'inner'],
    ['gcs', '{"https://u:hunter2@h/": 1}', 'a setting'],
  ])('%s: %s', (backend, config, name) => {
    const { problems } = readStep({ backend, 'backend-config': config });
    expect(problems).toEqual([
      expect.stringContaining(`backend-config: ${name} has a user, password or token in a URL`),
    ]);
    expect(problems[0]).not.toContain('hunter2');
  });

  test.each(['secret_key "hunter2"', 'access-key = hunter2', 'https://u:hunter2@h'])(
    'backend-config: a malformed line, %s',
    (line) => {
      const { problems } = readStep({ backend: 'gcs', 'backend-config': `bucket = "b"\n${line}` });
      expect(problems).toEqual([
        expect.stringMatching(/^backend-config: line 2 \(not shown, as it may hold a secret\) /),
      ]);
    },
  );

  test('a URL without user information is allowed', () => {
    const config = 'address = "https://state.example:8443/team@acme/x"';
    expect(readStep({ backend: 'http', 'backend-config': config }).problems).toEqual([]);
  });
});
