import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadActionMetadata } from '../lab/runner/metadata.ts';
import { parseClusterFile } from '../src/inputs/cluster-file.ts';
import { CLUSTER_KEYS } from '../src/inputs/cluster-schema.ts';
import { renderSchema, SCHEMA_FILE } from './generate.ts';

const root = join(import.meta.dirname, '..');
const schema = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8'));
const validate = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true }).compile(schema);

test('cluster.schema.json is the output of node schema/generate.ts', () => {
  expect(readFileSync(SCHEMA_FILE, 'utf8')).toBe(renderSchema(loadActionMetadata(root)));
});

test('every key has a description', () => {
  expect(Object.keys(schema.properties)).toEqual(CLUSTER_KEYS);
  for (const key of CLUSTER_KEYS) expect(schema.properties[key].description, key).toMatch(/\.$/);
});

const EXAMPLES = join(root, 'docs/workflows/clusters');
test.each(readdirSync(EXAMPLES))(
  'the example %s is valid, and its first line names it',
  async (name) => {
    const text = readFileSync(join(EXAMPLES, name), 'utf8');
    expect(text).toMatch(
      /^# yaml-language-server: \$schema=https:\/\/\S+\/schema\/cluster\.schema\.json\n/,
    );
    const value: unknown = parse(text);
    // Placeholders are not networks, and the action refuses them.
    const filled = JSON.parse(
      JSON.stringify(value).replaceAll(/NETWORK\/OF\/YOUR\/[A-Z]+/g, '10.0.0.0/8'),
    );
    validate(filled);
    expect(validate.errors).toBeNull();
    expect((await parseClusterFile(name, Buffer.from(text))).problems).toEqual([]);
  },
);

test('the file in the README is valid', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const text = /```yaml\n(cluster_name: [\s\S]*?)```/.exec(readme)?.[1] ?? '';
  validate(parse(text));
  expect(validate.errors).toBeNull();
});

describe('the schema', () => {
  test.each<[string, object]>([
    ['a number', { replica_count: 2 }],
    ['a tag without quotes', { image_tag: 17 }],
    ['a tag with its fraction', { image_tag: 17.6 }],
    ['settings of any kind', { settings: { work_mem: '8MB', jit: false, random_page_cost: 1.1 } }],
    ['blocks of a backend', { backend: 's3', backend_config: { assume_role: { role_arn: 'x' } } }],
    ['a name alone', {}],
  ])('accepts %s', (_, value) => {
    validate({ cluster_name: 'orders', ...value });
    expect(validate.errors).toBeNull();
  });

  test.each<[string, object, string]>([
    ['a number in quotes', { replica_count: '2' }, 'must be integer'],
    ['too many', { replica_count: 16 }, 'must be <= 15'],
    ['an unknown key', { replicas: 2 }, 'must NOT have additional properties'],
    ['a secret', { postgres_password: 'x' }, 'must NOT have additional properties'],
    ['an unknown region', { region: 'us-east-9' }, 'must be equal to one of the allowed values'],
    ['a text for a list', { ssh_cidrs: '10.0.0.0/8' }, 'must be array'],
    ['a text that is not a network', { ssh_cidrs: ['office'] }, 'must match pattern'],
    ['a text for a map', { settings: 'jit = off' }, 'must be object'],
    ['a list as a setting', { settings: { jit: [] } }, 'must be string'],
    ['a word for a flag', { require_signature: 'yes' }, 'must be boolean'],
    ['a long name', { cluster_name: 'a'.repeat(41) }, 'must NOT have more than 40 characters'],
    ['no name', { cluster_name: undefined }, "must have required property 'cluster_name'"],
    ['a fraction of connections', { max_connections: 200.5 }, 'must be integer'],
  ])('refuses %s', (_, value, message) => {
    expect(validate({ cluster_name: 'orders', ...value })).toBe(false);
    expect(validate.errors?.map((error) => error.message)).toEqual(
      expect.arrayContaining([expect.stringContaining(message)]),
    );
  });
});
