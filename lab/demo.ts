// npm run demo: the product on one machine. A pull request gets its comment and is merged, a replicating PostgreSQL
// cluster starts, and a row written on the primary is read on both replicas. No port is open for SSH, unless asked for:
// npm run demo -- --ssh-via direct
// A line of the cluster file changes the running cluster, by another pull request; --destroy removes it:
// npm run demo -- 'max_connections: 150'
// npm run demo -- --destroy
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeProof } from '../src/cluster/proof.ts';
import { readRow, writeRow } from './client.ts';
import { changeLines, foldPlan, readDemoOptions } from './demo-options.ts';
import type { WorkflowEvent } from './github/event.ts';
import { findPublicHost } from './public-host.ts';
import type { JobResult } from './runner/job.ts';
import { FROM_FILE, locateWorld, startWorld, type World } from './world.ts';

const WORLD = 'lab';
const PATH = 'clusters/orders.yml';
const CLUSTER = [
  'cluster_name: orders',
  'region: us-east-1',
  'instance_type: t2.small',
  'replica_count: 2',
  // An empty database is copied in a moment; with a limit the log shows the progress.
  'clone_max_rate: 512kB',
  'settings:',
  '  work_mem: 8MB',
];

function readOptions() {
  try {
    const options = readDemoOptions(process.argv.slice(2), process.env);
    if (options.destroy && !existsSync(join(locateWorld(WORLD), 'github.json'))) {
      throw new Error('--destroy: there is no cluster. Make one with npm run demo.');
    }
    return options;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}

const { sshVia, destroy, changes } = readOptions();

const started = Date.now();
const timings: Record<string, number> = {};

const elapsed = (): string => `${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s`;
const say = (line: string): void => console.log(`${elapsed()}  ${line}`);
const title = (line: string): void => console.log(`\n\x1b[1m${line}\x1b[0m`);

/** Runs one phase of the demo and records its duration, in seconds. */
async function timed<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  const start = Date.now();
  const result = await work();
  timings[name] = (Date.now() - start) / 1000;
  return result;
}

/** The lines of the action's log to print; the whole log goes to a file. */
const PRINTED = [
  /^##\[(group|error|warning)\](?!Run )/,
  /^(Plan:|Apply complete!)/,
  /^aws_\w+\.\S+ Creation complete/,
  /^node-\d/,
];

/** Runs the action and prints the lines of its log that match PRINTED. Throws if it fails, unless it is `tolerant`. */
async function runAction(
  world: World,
  { name, event, tolerant = false }: { name: string; event: WorkflowEvent; tolerant?: boolean },
): Promise<JobResult> {
  const onLine = (line: string): void => {
    if (PRINTED.some((pattern) => pattern.test(line))) {
      console.log(`          │ ${line.replace(/^##\[group\]/, '')}`);
    }
  };
  const result = await timed(name, () => world.run(event, FROM_FILE, { onLine }));
  const logFile = join(world.folder, `${name}.log`);
  writeFileSync(logFile, result.log);
  if (result.conclusion === 'success' || tolerant) return result;
  throw new Error(
    `The ${name} ended with ${result.conclusion}. Its log: ${logFile}\n${result.log}`,
  );
}

async function runDemo(world: World): Promise<void> {
  const { github } = world;
  // The lines of the last merge, which a change keeps.
  const memory = join(world.folder, 'cluster-lines.json');
  const present: string[] = existsSync(memory) ? JSON.parse(readFileSync(memory, 'utf8')) : CLUSTER;
  const lines = changeLines(present, changes);

  title(`A pull request with ${PATH}`);
  console.log(lines.map((line) => `  ${line}`).join('\n'));
  const opened = github.openPullRequest({
    branch: 'orders-db',
    title: 'A database for orders',
    contents: { [PATH]: world.describeCluster(lines) },
  });
  const { number } = opened.payload;
  // The workflow is the default branch's, and nothing of the pull request is checked out.
  const planned = await runAction(world, {
    name: 'plan',
    event: github.asTarget(opened),
    tolerant: changes.length > 0,
  });
  title(`The comment on pull request #${number}`);
  showComment(world, { number, name: 'plan-comment.md' });
  if (planned.conclusion !== 'success') {
    title('It is not merged, because its check failed');
    console.log(`  the log      ${join(world.folder, 'plan.log')}`);
    console.log('  The cluster is as it was, and the next change starts from its file on main.');
    github.close(number);
    return;
  }

  title('It is merged');
  const { push } = github.merge(number, 'squash');
  const deployed = await runAction(world, { name: 'deploy', event: push });
  writeFileSync(memory, JSON.stringify(lines));
  title('The same comment, now with the proof');
  const commentFile = showComment(world, { number, name: 'comment.md' });

  title('A row is written on the primary and read on the replicas');
  const proof = JSON.parse(deployed.outputs['cluster-status'] ?? '[]') as NodeProof[];
  const primary = findPublicHost(world, deployed.outputs['primary-host'] ?? '');
  const hosts = JSON.parse(deployed.outputs['replica-hosts'] ?? '[]') as string[];
  const replicas = hosts.map((host) => findPublicHost(world, host));
  const password = world.secrets['postgres-password'];
  const row = `order ${new Date().toISOString()}`;
  await timed('row', async () => {
    const lsn = await writeRow({ host: primary, password }, row);
    say(`primary ${primary} took ${JSON.stringify(row)} at ${lsn}`);
    for (const host of replicas) {
      const waited = await readRow({ host, password }, row);
      say(`replica ${host} shows it after ${waited.toFixed(0)} ms`);
    }
  });

  const report = {
    cluster: lines,
    nodes: proof.map(({ name, role, address, lsn, lagBytes }) => ({
      name,
      role,
      address,
      lsn,
      lagBytes,
    })),
    primary,
    replicas,
    changedTasks: countChanges(deployed),
    timings,
    comment: commentFile,
  };
  const reportFile = join(world.folder, '..', 'report.json');
  writeFileSync(reportFile, `${JSON.stringify(report, null, 2)}\n`);

  title('What now');
  console.log(
    `  connect      PGPASSWORD=${password} psql '${deployed.outputs['connection-string-public']}'`,
  );
  console.log(`  the comment  ${commentFile}`);
  console.log(`  the report   ${reportFile}`);
  console.log('  again        npm run demo         (over the running cluster: changes nothing)');
  console.log("  change       npm run demo -- 'max_connections: 150'");
  console.log('  destroy      npm run demo -- --destroy');
  console.log('  tear down    npm run demo:down');
}

/** Removes the cluster as a person does: by a run of the workflow that names it. */
async function runRemoval(world: World): Promise<void> {
  title('The cluster is destroyed: command: destroy, confirmed with its name');
  const event = world.github.dispatch('destroy', { destroy: 'orders' });
  const removed = await runAction(world, { name: 'destroy', event });
  title('The job summary');
  console.log(removed.summary);
  rmSync(join(world.folder, 'cluster-lines.json'), { force: true });
  title('What now');
  console.log('  The snapshots are in the lab, which has no command line of AWS.');
  console.log('  anew         npm run demo');
  console.log('  tear down    npm run demo:down');
}

/** Prints the comment on a pull request without Terraform's own text, and returns the path of a file with all of it. */
function showComment(world: World, { number, name }: { number: number; name: string }): string {
  const body = world.github.listComments(number).at(-1)?.body;
  if (body === undefined) throw new Error(`Pull request #${number} has no comment.`);
  const file = join(world.folder, name);
  writeFileSync(file, body);
  console.log(foldPlan(body, file));
  return file;
}

/** Tasks that changed something on the nodes, from the action's own result. */
function countChanges(result: JobResult): number {
  const match = /(\d+) tasks? changed something/.exec(result.log);
  return Number(match?.[1] ?? Number.NaN);
}

title('A cloud, a GitHub and a registry on this machine');
const world = await timed('world', () =>
  startWorld({ name: WORLD, tags: ['17'], sshVia, onProgress: say }),
);
try {
  await (destroy ? runRemoval(world) : runDemo(world));
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  await world.stop();
}
