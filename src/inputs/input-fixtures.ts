import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { findActionRoot } from '../runner/assets.ts';
import type { Intent, Operation } from '../runner/intent.ts';
import { type RawInputs, type StepInputs, separateDefaults } from './step-inputs.ts';

/** The inputs of action.yml, by name. */
export const ACTION_INPUTS = (
  parse(readFileSync(join(findActionRoot(), 'action.yml'), 'utf8')) as {
    inputs: Record<string, { default?: string }>;
  }
).inputs;

/** A deploy of what pull request 7 merged. */
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

/** An operation alone; `body` undefined: it was not an event that called it. */
export const createOperation = (operation: Operation, body?: unknown): Intent => ({
  kind: 'operation',
  operation,
  body,
  why: 'test',
});

/** What a workflow that gives everything needed passes on, defaults from action.yml included. */
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
