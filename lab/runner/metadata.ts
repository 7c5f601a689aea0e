import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);

const input = z.object({
  description: z.string(),
  required: z.boolean().default(false),
  default: scalar.optional(),
  deprecationMessage: z.string().optional(),
});

const metadata = z.object({
  name: z.string(),
  description: z.string(),
  author: z.string().optional(),
  branding: z.object({ icon: z.string(), color: z.string() }).optional(),
  inputs: z.record(z.string(), input).default({}),
  outputs: z.record(z.string(), z.object({ description: z.string() })).default({}),
  runs: z.object({
    using: z.literal('node24', { error: 'this runner runs node24 actions only' }),
    main: z.string().min(1),
    post: z.string().min(1).optional(),
    // GitHub's default, so that the clean-up also runs after a failure and a cancel.
    'post-if': z.string().default('always()'),
  }),
});

/** An action's metadata file, defaults filled in; records keep the order of the file. */
export type ActionMetadata = z.infer<typeof metadata>;

/**
 * Reads the text of an `action.yml`.
 * @throws Error that lists every problem
 * Source: docs.github.com, "Metadata syntax reference".
 */
export function parseActionMetadata(text: string): ActionMetadata {
  const result = metadata.safeParse(parse(text));
  if (result.success) return result.data;
  throw new Error(`action.yml is not valid:\n${z.prettifyError(result.error)}`);
}

/**
 * Reads the metadata file of an action's directory.
 * @throws Error if it is missing or invalid, or a script that it names is missing
 */
export function loadActionMetadata(directory: string): ActionMetadata {
  const path = ['action.yml', 'action.yaml']
    .map((name) => join(directory, name))
    .find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new Error(`Can't find 'action.yml' or 'action.yaml' under '${directory}'.`);
  }
  const action = parseActionMetadata(readFileSync(path, 'utf8'));
  for (const script of [action.runs.main, action.runs.post]) {
    if (script === undefined || existsSync(join(directory, script))) continue;
    throw new Error(`File not found: '${join(directory, script)}': build the action first.`);
  }
  return action;
}
