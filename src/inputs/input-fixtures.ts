import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { findActionRoot } from '../runner/assets.ts';
import type { Intent, Operation } from '../runner/intent.ts';
import { type InputResult, readInputs } from './read-inputs.ts';
import { type RawInputs, type StepInputs, separateDefaults } from './step-inputs.ts';

/** The inputs of action.yml, by name. */
export const ACTION_INPUTS = (
  parse(readFileSync(join(findActionRoot(), 'action.yml'), 'utf8')) as {
    inputs: Record<string, { default?: string }>;
  }
).inputs;

/** A deploy of the merged pull request 7. */
export const DEPLOY: Intent = {
  kind: 'deploy',
  pullRequest: 7,
  withoutSecrets: null,
  branch: 'main',
  pushedAt: null,
  before: null,
  sha: 'a'.repeat(40),
  why: 'test',
};

/** The review of pull request 7. */
export const REVIEW = {
  kind: 'review',
  event: 'pull_request',
  base: 'main',
  pullRequest: 7,
  queued: null,
  consent: null,
  withoutSecrets: null,
  sha: 'a'.repeat(40),
  why: 'test',
} as const satisfies Intent;

/** A single operation, called by an event if it has a `body`. */
export const createOperation = (operation: Operation, body?: unknown): Intent => ({
  kind: 'operation',
  operation,
  body,
  why: 'test',
});

/** Returns the inputs of a step with everything that is required, and the defaults from action.yml. */
export function createStep(overrides: RawInputs = {}): StepInputs {
  const given: RawInputs = {
    'github-token': 'ghs_0123456789',
    'postgres-password': 'correct horse battery',
    'replication-password': 'battery staple correct',
    'ssh-private-key': '-----BEGIN …',
    'ssh-cidrs': '203.0.113.0/24',
    backend: 's3',
    'backend-config': 'bucket = "states"\nkey = "postgres"\nregion = "us-east-1"',
    ...overrides,
  };
  return separateDefaults((name) => given[name] ?? ACTION_INPUTS[name]?.default ?? '');
}

/** Reads the inputs of that step without a cluster file. */
export function readStep(overrides: RawInputs = {}, intent: Intent = DEPLOY): InputResult {
  return readInputs({ step: createStep(overrides), file: null }, intent);
}
