// node schema/generate.ts writes cluster.schema.json, with which editors complete and check a cluster file, from the
// action's own schema and the descriptions in action.yml. A test fails if it is out of date.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type ActionMetadata, loadActionMetadata } from '../lab/runner/metadata.ts';
import {
  CLUSTER_KEYS,
  type ClusterKey,
  clusterSchema,
  decodeInput,
  nameInput,
} from '../src/inputs/cluster-schema.ts';

const root = join(import.meta.dirname, '..');
/** Path of the generated schema. */
export const SCHEMA_FILE = join(import.meta.dirname, 'cluster.schema.json');

/** Descriptions of keys that are text in an input, but a map or a list in a file. */
const DESCRIPTIONS: Partial<Record<ClusterKey, string>> = {
  settings:
    'Other PostgreSQL settings by name, checked against the running server before anything changes. A removed setting returns to its default. No secrets: settings appear in comments and logs.',
  ssh_cidrs: "IPv4 networks that may reach port 22 of the nodes. They must include the runner's.",
  tags: 'Additional tags for every resource, by key.',
  backend_config:
    'Settings of the backend by name; blocks are maps. No secrets, not even in a URL: backends read them from the environment.',
};

/** Keys that a file must have. Without a name, every file would describe the cluster with the default name. */
const NAMED: readonly ClusterKey[] = ['cluster_name'];

/** Returns the JSON Schema (draft 7) of a cluster file. */
export function renderSchema(metadata: ActionMetadata): string {
  const {
    $schema,
    properties = {},
    ...rest
  } = z.toJSONSchema(clusterSchema, {
    target: 'draft-7',
    io: 'input',
  });
  const described = CLUSTER_KEYS.map((key) => {
    const { description = '', default: value = '' } = metadata.inputs[nameInput(key)] ?? {};
    const text = value.trim();
    return [
      key,
      {
        description: DESCRIPTIONS[key] ?? description.trim().replaceAll(/\s+/g, ' '),
        ...(properties[key] as object),
        ...(text === '' || NAMED.includes(key) ? {} : { default: decodeInput(key, text) }),
      },
    ];
  });
  const schema = {
    $schema,
    title: 'A PostgreSQL cluster',
    description: 'A cluster file of Postgres Cluster Action.',
    ...rest,
    required: NAMED,
    properties: Object.fromEntries(described),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(SCHEMA_FILE, renderSchema(loadActionMetadata(root)));
