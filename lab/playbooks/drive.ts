import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { renderInventory } from '../../src/ansible/inventory.ts';
import { parseResult } from '../../src/ansible/result.ts';
import { DIRECT } from '../../src/ansible/route.ts';
import { renderSshConfig } from '../../src/ansible/ssh-config.ts';
import { renderVariables } from '../../src/ansible/variables.ts';
import type { DesiredCluster } from '../../src/cluster/desired.ts';
import type { PinnedImage } from '../../src/cluster/image.ts';
import type { NodeObservation } from '../../src/cluster/observation.ts';
import type { NodeProof } from '../../src/cluster/proof.ts';
import { rollout } from '../../src/cluster/rollout/rollout.ts';
import type { Step } from '../../src/cluster/rollout/step.ts';
import { interruptGroup } from '../../src/process/cancellation.ts';
import { writeSecretFile } from '../../src/runner/workspace.ts';

const playbooks = join(import.meta.dirname, '../../playbooks');

/** The result of a run: the contents of the file that CLUSTER_RESULT names, how it ended and what it printed. */
export interface PlaybookRun {
  readonly exitCode: number | null;
  readonly seconds: number;
  readonly output: string;
  readonly observations: readonly NodeObservation[];
  readonly proof: readonly NodeProof[];
  readonly stats: Readonly<
    Record<string, { ok: number; changed: number; failures: number; unreachable: number }>
  >;
  readonly changes: readonly { node: string; step: string; task: string }[];
  readonly failures: readonly { node: string; task: string; message: string; log: string }[];
  readonly notes: readonly { node: string; note: string }[];
  /** Steps whose work goes on without the run. */
  readonly pending: readonly { node: string; step: string }[];
}

/** A cluster to configure, and the access to its hosts. */
export interface DriveOptions {
  readonly desired: DesiredCluster;
  /** Folder for the inventory, variables, known hosts and results. */
  readonly folder: string;
  /** Private key file for the hosts. */
  readonly key: string;
  /** The public key. */
  readonly authorizedKey: string;
  readonly retiredKeys?: readonly string[];
  readonly superuserPassword?: string | null;
  readonly replicationPassword?: string | null;
  /** Credentials for the image's registry; without them there is no login. */
  readonly registryLogin?: { readonly username: string; readonly password: string };
  /** Whether the hosts have an instance profile to log in with; none: no. */
  readonly hasInstanceProfile?: boolean;
  readonly pinnedImage?: PinnedImage;
  /** Labels of the pull request. */
  readonly labels?: readonly string[];
  /** An ansible-playbook other than the one on PATH. */
  readonly command?: readonly string[];
  /** How long the observation waits for a node. */
  readonly waitSeconds?: number;
  /** How long a step waits for work that goes on without it. */
  readonly callSeconds?: number;
  /** Whether a run ends while work is pending; otherwise it is continued, as the action does. */
  readonly once?: boolean;
  /** Timeout of one observation of a node. */
  readonly lookSeconds?: number;
  /** Added to the environment of ansible-playbook. */
  readonly env?: Readonly<Record<string, string>>;
  /** Nodes whose machine has just been created. */
  readonly freshNodes?: readonly string[];
  /** Called with each line of the log. */
  readonly onLine?: (line: string) => void;
  /** Ends the running playbook like a cancelled job. */
  readonly signal?: AbortSignal;
}

/** Steps for a playbook, and the primary after them. */
interface Work {
  readonly primary: string;
  readonly steps: readonly Step[];
  readonly prove?: boolean;
  /** Whether the primary's proof says what a rehearsal compares. */
  readonly canary?: boolean;
}

/** Runs one playbook with the given steps, e.g. `observe.yml` without any, until no work is pending. */
export async function runPlaybook(
  options: DriveOptions,
  playbook: 'observe.yml' | 'site.yml',
  work: Work = { primary: '', steps: [] },
): Promise<PlaybookRun> {
  const run = await runOnce(options, playbook, work);
  const first = work.steps.findIndex(({ kind }) => run.pending.some(({ step }) => step === kind));
  if (first === -1 || run.exitCode !== 0 || options.once) return run;
  const rest = await runPlaybook(options, playbook, { ...work, steps: work.steps.slice(first) });
  return {
    ...rest,
    seconds: run.seconds + rest.seconds,
    output: run.output + rest.output,
    changes: [...run.changes, ...rest.changes],
    notes: [...run.notes, ...rest.notes],
  };
}

async function runOnce(
  options: DriveOptions,
  playbook: 'observe.yml' | 'site.yml',
  work: Work,
): Promise<PlaybookRun> {
  const { primary, steps, prove = true } = work;
  const { desired, folder } = options;
  await mkdir(folder, { recursive: true });
  const inventory = join(folder, 'inventory.ini');
  const sshConfigFile = join(folder, 'ssh_config');
  const variables = join(folder, 'vars.json');
  const result = join(folder, 'result.json');
  await rm(result, { force: true });
  await writeFile(
    inventory,
    renderInventory([...desired.nodes, ...desired.leaving], {
      sshUser: 'admin',
      sshConfigFile,
      route: DIRECT,
    }),
  );
  const knownHostsFile = join(folder, 'known_hosts');
  await writeFile(
    sshConfigFile,
    renderSshConfig({ privateKeyFiles: [options.key], knownHostsFile, proxyCommand: null }),
  );
  await writeSecretFile(
    variables,
    renderVariables({
      desired,
      secrets: {
        postgresPassword: options.superuserPassword ?? '',
        replicationPassword: options.replicationPassword ?? '',
        ...(options.registryLogin && {
          registryUsername: options.registryLogin.username,
          registryPassword: options.registryLogin.password,
        }),
      },
      keys: { current: options.authorizedKey, retired: options.retiredKeys ?? [] },
      rollout: {
        primary,
        steps,
        proofToken: prove ? randomUUID() : null,
        listsCanary: work.canary ?? false,
        image: options.pinnedImage ?? null,
        collationLabel: {
          input: 'allow-collation-label',
          label: 'allow-collation-change',
          labels: options.labels ?? null,
        },
      },
      ...(options.waitSeconds !== undefined && { waitSeconds: options.waitSeconds }),
      ...(options.lookSeconds !== undefined && { lookSeconds: options.lookSeconds }),
      ...(options.hasInstanceProfile && { hasInstanceProfile: true }),
      ...(options.freshNodes && { freshNodes: options.freshNodes }),
    }),
  );

  const [program = 'ansible-playbook', ...before] = options.command ?? [];
  const start = performance.now();
  const child = spawn(
    program,
    [
      ...before,
      ...['-i', inventory, '-e', `@${variables}`],
      ...['-e', JSON.stringify({ cluster_call_seconds: options.callSeconds ?? 15 })],
      join(playbooks, playbook),
    ],
    {
      env: {
        ...process.env,
        ANSIBLE_CONFIG: join(playbooks, 'ansible.cfg'),
        CLUSTER_RESULT: result,
        PYTHONDONTWRITEBYTECODE: '1',
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  );
  const interrupt = () => interruptGroup(child, 'insistently');
  options.signal?.addEventListener('abort', interrupt);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      for (const line of text.split('\n')) if (line) options.onLine?.(line);
    });
  }
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  options.signal?.removeEventListener('abort', interrupt);
  const seconds = (performance.now() - start) / 1000;
  const written = await readFile(result, 'utf8').catch(() => null);
  const lists = { observations: [], proof: [], changes: [], failures: [], notes: [], pending: [] };
  const nothing = { ...lists, stats: {} };
  // Validated as in the action: what real nodes report must pass.
  const nodes = [...desired.nodes, ...desired.leaving].map(({ name }) => name);
  const report = written === null ? nothing : parseResult(written, { nodes });
  return { ...report, exitCode, seconds, output };
}

/** Runs `configure`: observes, plans and executes until nothing is left, then proves; returns the last round. */
export async function configure(
  options: DriveOptions,
): Promise<{ observed: PlaybookRun; steps: readonly Step[]; done: PlaybookRun }> {
  const observed = await runPlaybook(options, 'observe.yml');
  if (observed.exitCode !== 0) throw new Error(`observe.yml failed:\n${observed.output}`);
  const plan = rollout(observed.observations, options.desired);
  if (plan.kind === 'refused') throw new Error(`refused: ${plan.refusals.join('\n')}`);
  const done = await runPlaybook(options, 'site.yml', { ...plan, prove: !plan.observeAgain });
  if (plan.observeAgain && done.exitCode === 0) return configure(options);
  return { observed, steps: plan.steps, done };
}
