import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowEvent } from '../github/event.ts';
import { type GitHub, startGitHub } from '../github/github.ts';
import { type JobOptions, type JobResult, runJob } from '../runner/job.ts';

const root = join(import.meta.dirname, '..', '..');

/** A GitHub and a runner for the committed bundle, without a cloud. */
export interface Bench {
  readonly github: GitHub;
  readonly token: string;
  /** The secrets that a workflow passes. */
  readonly secrets: {
    readonly 'postgres-password': string;
    readonly 'replication-password': string;
    readonly 'ssh-private-key': string;
  };
  /**
   * Runs the action on `event` with all required inputs, overridden by `inputs`. If GitHub withholds secrets, they are
   * empty and the token is read-only.
   */
  run(
    event: WorkflowEvent,
    inputs?: Readonly<Record<string, string>>,
    options?: Partial<JobOptions>,
  ): Promise<JobResult>;
  close(): Promise<void>;
}

export async function openBench(): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'bundle-test-'));
  const github = await startGitHub();
  const token = github.createToken({
    permissions: { contents: 'read', pull_requests: 'write', issues: 'write', checks: 'write' },
  });
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
  const secrets = {
    'postgres-password': 'super-secret-1',
    'replication-password': 'super-secret-2',
    'ssh-private-key': readFileSync(join(folder, 'key'), 'utf8'),
  };
  const readOnly = github.createToken({
    permissions: { contents: 'read', pull_requests: 'read', issues: 'read', checks: 'read' },
  });
  let jobs = 0;
  return {
    github,
    token,
    secrets,
    run: (event, inputs = {}, options = {}) =>
      runJob({
        actionDirectory: root,
        workDirectory: join(folder, `job-${++jobs}`),
        event,
        urls: github.urls,
        token: event.withoutSecrets ? readOnly : token,
        secrets: Object.values(secrets),
        inputs: {
          ...(event.withoutSecrets ? {} : secrets),
          'ssh-cidrs': '203.0.113.0/24',
          backend: 'local',
          ...inputs,
        },
        ...options,
      }),
    async close() {
      await github.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Messages of the errors that the run's page shows. */
export function listErrors(result: JobResult): string[] {
  return result.annotations.filter(({ level }) => level === 'error').map(({ message }) => message);
}

/** The number of the pull request in an event's payload. */
export function readPullNumber({ payload }: { readonly payload: unknown }): number {
  return (payload as { pull_request: { number: number } }).pull_request.number;
}
