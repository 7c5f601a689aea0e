import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, openBench, readPullNumber } from './bench.ts';

let bench: Bench;
let aws: Aws;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cancel-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'cancel-test', instances: 'none', directory: join(folder, 'aws') }),
  ]);
});
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

/**
 * Makes an apply of Terraform continue for 14 s after an interrupt, with output all along, and create the resources
 * only then: 4 s after GitHub has killed the action.
 */
const SLOW_APPLY = `
if [ "$1" = apply ]; then
  trap 'echo Interrupt received.' INT
  i=0
  while [ $i -lt 28 ]; do
    i=$((i+1))
    echo "still creating $i"
    sleep 0.5
  done
fi`;

test('a job cancelled while Terraform applies loses no state, even if GitHub kills the action', async () => {
  const opened = bench.github.openPullRequest({ branch: 'cancelled', title: 'Create the cluster' });
  const number = readPullNumber(opened);
  const controller = new AbortController();
  const { push } = bench.github.merge(number, 'squash');
  const result = await bench.run(
    push,
    // The merge has no review.
    { 'on-plan-change': 'apply' },
    {
      path: reachAws({ folder, reattach: aws.reattach, before: SLOW_APPLY }),
      signal: controller.signal,
      onLine: (line) => {
        if (line.includes('still creating 1')) controller.abort();
      },
    },
  );

  expect(result.conclusion).toBe('cancelled');
  expect(result.main?.signal).toBe('SIGKILL');
  expect(result.post?.conclusion).toBe('success');
  expect(result.orphans).toEqual([]);
  expect(result.leftovers).toEqual([]);
  const warnings = result.annotations.filter(({ level }) => level === 'warning');
  expect(warnings.map(({ message }) => message)).toEqual([
    expect.stringContaining('Nothing was reviewed at'),
  ]);
  // The check run is not left in progress.
  const after = (push.payload as { after: string }).after;
  expect(bench.github.listCheckRuns(after).map(({ conclusion }) => conclusion)).toEqual([
    'cancelled',
  ]);

  // The output of the cancelled step and of the clean-up is complete.
  const counts = [...result.log.matchAll(/still creating (\d+)/g)].map(([, count]) =>
    Number(count),
  );
  expect([...new Set(counts)]).toEqual(Array.from({ length: 28 }, (_, index) => index + 1));
  // A second interrupt would make Terraform drop its state.
  expect(result.log.match(/Interrupt received/g)).toHaveLength(1);
  expect(result.log).toMatch(/terraform apply \(process \d+\) outlived the job/);
  expect(result.log).toContain('Apply complete!');

  const directory = join(result.directories.workspace, '.postgres-cluster', 'postgres');
  const state = JSON.parse(readFileSync(join(directory, 'terraform.tfstate'), 'utf8')) as {
    resources: { type: string; instances: unknown[] }[];
  };
  const nodes = state.resources.find(({ type }) => type === 'aws_instance');
  expect(nodes?.instances).toHaveLength(aws.listInstances().length);
  expect(aws.listInstances()).toHaveLength(3);
  expect(existsSync(join(directory, '.terraform.tfstate.lock.info'))).toBe(false);

  const [comment, ...others] = bench.github.listComments(number);
  expect(others).toEqual([]);
  expect(comment?.body).toContain('cancelled while applying');
}, 180_000);
