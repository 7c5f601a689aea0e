import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

// Credentials must outlive the job that uses them, or Terraform cannot save its state (docs/how-to/set-up.md, Sessions).

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Step {
  readonly uses?: string;
  readonly with?: Readonly<Record<string, string | number>>;
}
interface Job {
  readonly environment?: string;
  readonly 'timeout-minutes'?: number;
  readonly steps?: readonly Step[];
}

/** What `configure-aws-credentials` asks for if a workflow does not say: its README, "role-duration-seconds". */
const DEFAULT_SECONDS = 3600;

const variable = /variable "deploy_session_seconds" \{.*?default\s+= (\d+)/s.exec(
  read('setup/aws/variables.tf'),
);
const plan = /plan = \{[^}]*session\s+= (\d+)/.exec(read('setup/aws/roles.tf'));
/** The longest session of the role of each environment, in seconds, with the defaults of setup/aws. */
const LONGEST: Readonly<Record<string, number>> = {
  production: Number(variable?.[1]),
  plan: Number(plan?.[1]),
};

const JOBS = readdirSync(join(root, 'docs/workflows'))
  .filter((name) => name.endsWith('.yml'))
  .flatMap((name) => {
    const { jobs } = parse(read(`docs/workflows/${name}`)) as { jobs: Record<string, Job> };
    return Object.entries(jobs).map(([id, job]) => ({ job, place: `${name}, ${id}` }));
  })
  .filter(({ job }) => find(job, 'configure-aws-credentials') !== null);

function find({ steps = [] }: Job, action: string): Step['with'] | null {
  const step = steps.find(({ uses = '' }) => uses.includes(`/${action}@`));
  return step === undefined ? null : (step.with ?? {});
}

const readSession = (job: Job): number =>
  Number(find(job, 'configure-aws-credentials')?.['role-duration-seconds'] ?? DEFAULT_SECONDS);

test.each(JOBS)('$place: the session outlives the job, and the role allows it', ({ job }) => {
  const timeout = (job['timeout-minutes'] ?? Number.POSITIVE_INFINITY) * 60;
  expect(readSession(job)).toBeGreaterThan(timeout);
  expect(readSession(job)).toBeLessThanOrEqual(LONGEST[job.environment ?? ''] ?? 0);
});

test.each(
  JOBS.filter(({ job }) => find(job, 'postgres-cluster-action')?.['wait-minutes'] !== undefined),
)('$place: the action stops waiting before the job ends', ({ job }) => {
  const minutes = Number(find(job, 'postgres-cluster-action')?.['wait-minutes']);
  expect(minutes).toBeLessThan(job['timeout-minutes'] ?? 0);
});

test('the workflows deploy, plan, rehearse and look for drift with credentials', () => {
  expect(JOBS.length).toBeGreaterThanOrEqual(9);
  expect(new Set(JOBS.map(({ job }) => job.environment))).toEqual(new Set(['plan', 'production']));
});

test('the page on sessions names the numbers of the job that deploys', () => {
  const { job } = JOBS.find(({ place }) => place === 'postgres.yml, deploy') ?? { job: {} as Job };
  const page = read('docs/how-to/set-up.md');
  expect(page).toContain(`may take ${job['timeout-minutes']} minutes\n`);
  expect(page).toContain(`\`role-duration-seconds: ${readSession(job)}\``);
  expect(page).toContain(
    `\`wait-minutes: ${find(job, 'postgres-cluster-action')?.['wait-minutes']}\``,
  );
});
