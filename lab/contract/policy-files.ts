// Rewrites the policies from the recorded calls: `node lab/contract/policy-files.ts`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OPTIONAL_POLICIES } from './optional-policies.ts';
import { buildPolicies, type Calls } from './policies.ts';

const FOLDER = join(import.meta.dirname, '../../setup/aws/policies');

/** The files of the policies by name, as they should be for the calls. */
export function renderPolicies(calls: Calls): { readonly [file: string]: string } {
  const policies = Object.entries({ ...buildPolicies(calls), ...OPTIONAL_POLICIES });
  return Object.fromEntries(policies.map(([name, policy]) => [`${name}.json`, render(policy)]));
}

/** The calls that were recorded with the real provider. */
export function readCalls(): Calls {
  return JSON.parse(readPolicyFile('calls.json'));
}

/** Records the calls of a run. */
export function writeCalls(calls: Calls): void {
  writeFileSync(join(FOLDER, 'calls.json'), render(calls));
}

/** A committed file of `setup/aws/policies`. */
export function readPolicyFile(name: string): string {
  return readFileSync(join(FOLDER, name), 'utf8');
}

function render(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(renderPolicies(readCalls()))) {
    writeFileSync(join(FOLDER, name), text);
  }
}
