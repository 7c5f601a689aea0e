// npm run bench:review measures a review with the real provider against bare Terraform: init, plan and show -json.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { listErrors, openBench } from '../lab/bundle/bench.ts';
import { REGION, startMoto } from '../lab/contract/moto.ts';
import {
  findRealProvider,
  readTemplates,
  SKIPPED,
  writeCliConfig,
} from '../lab/contract/real-provider.ts';
import { Side } from '../lab/contract/side.ts';
import { PUBLIC_KEY } from '../lab/templates/workspace.ts';

/** Both take turns so often, and their medians are compared. */
const TURNS = 3;
/** The most that a review may take, as a multiple of bare Terraform. */
const MAX_RATIO = 1;

const provider = findRealProvider();
if (provider === null) throw new Error(SKIPPED);

const folder = mkdtempSync(join(tmpdir(), 'bench-review-'));
const moto = await startMoto('bench');
const bench = await openBench();

/** A copy of the action whose templates this release of the provider can plan. */
const action = join(folder, 'action');
for (const part of ['action.yml', 'dist', 'templates', 'playbooks']) {
  cpSync(join(import.meta.dirname, '..', part), join(action, part), { recursive: true });
}
for (const [name, text] of readTemplates(provider)) {
  writeFileSync(join(action, 'templates', 'aws', name), text);
}
const environment = { ...moto.environment, TF_CLI_CONFIG_FILE: writeCliConfig(folder, provider) };

/** Reviews a pull request that creates a cluster; returns the generated files. */
async function review(turn: number): Promise<ReadonlyMap<string, string>> {
  const event = bench.github.openPullRequest({ branch: `turn-${turn}`, title: 'Create a cluster' });
  const result = await bench.run(
    event,
    { region: REGION },
    { actionDirectory: action, env: environment },
  );
  const errors = listErrors(result);
  if (errors.length > 0) throw new Error(errors.join('\n'));
  const place = 'terraform-directory/';
  return new Map(
    Object.entries(result.files).flatMap(([path, text]) =>
      path.startsWith(place) ? [[path.slice(place.length), text] as const] : [],
    ),
  );
}

/** Runs bare Terraform in a new folder with the generated files. */
async function runTerraform(files: ReadonlyMap<string, string>, turn: number): Promise<void> {
  const side = new Side(join(folder, `bare-${turn}`), files, environment);
  await side.init();
  const tfvars = files.get('terraform.tfvars.json') ?? '';
  await side.plan({ tfvars, environment: { TF_VAR_ssh_public_key: PUBLIC_KEY } });
  await side.show();
}

async function measure(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1] as number;

try {
  // The first run of each fills caches of the file system.
  const files = await review(0);
  await runTerraform(files, 0);
  const times: { review: number[]; bare: number[] } = { review: [], bare: [] };
  for (let turn = 1; turn <= TURNS; turn++) {
    times.review.push(await measure(() => review(turn)));
    times.bare.push(await measure(() => runTerraform(files, turn)));
  }
  const [whole, bare] = [median(times.review), median(times.bare)];
  const ratio = whole / bare;
  process.stdout.write(
    `review ${whole.toFixed(1)} s, init, plan and show -json ${bare.toFixed(1)} s: ${ratio.toFixed(2)}\n`,
  );
  if (ratio > MAX_RATIO) process.exitCode = 1;
} finally {
  await Promise.all([bench.close(), moto.stop()]);
  rmSync(folder, { recursive: true, force: true });
}
