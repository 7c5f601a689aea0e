import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Rule } from '../../aws/world.ts';
import { query } from '../../client.ts';
import type { WorkflowEvent } from '../../github/event.ts';
import type { Contents } from '../../github/git.ts';
import { nightlyTest } from '../../nightly.ts';
import type { JobOptions, JobResult } from '../../runner/job.ts';
import { FROM_FILE, type World } from '../../world.ts';
import {
  closeStage,
  openPullRequest,
  openStage,
  readProof,
  readServers,
  requireSuccess,
} from '../stage.ts';

// A merge applies what was reviewed: one small cluster, and everything that can happen in between.

type Inputs = Readonly<Record<string, string>>;

const REVIEW_KEY = 'b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184';
const BASE: Inputs = {
  'instance-type': 't3.small',
  'replica-count': '1',
  'on-plan-change': 'fail',
  'review-key': REVIEW_KEY,
};
/** Other secrets in a job's environment, which must not reach any program. */
const ENVIRONMENT_SECRETS: Readonly<Record<string, string>> = Object.fromEntries(
  [
    'AWS_SESSION_TOKEN',
    'PGPASSWORD',
    'TF_TOKEN_app_terraform_io',
    'VAULT_TOKEN',
    'NPM_TOKEN',
    'GH_TOKEN',
    'DOCKER_AUTH_CONFIG',
    'ANSIBLE_VAULT_PASSWORD',
    'ACTIONS_RUNTIME_TOKEN',
    'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
    'TF_VAR_planted',
  ].map((name, index) => [name, `planted-${index}-5fd1e2a7c3`]),
);
const withSettings = (settings: string): Inputs => ({ ...BASE, settings });

let world: World;
beforeAll(async () => {
  world = await openStage();
});
afterAll(() => closeStage(world));

/** Runs a job and keeps its result, which is searched for secrets at the end. */
async function run(
  event: WorkflowEvent,
  inputs: Inputs,
  options: Partial<JobOptions> = {},
): Promise<JobResult> {
  const env = { ...world.env, ...ENVIRONMENT_SECRETS };
  const result = await world.run(event, inputs, { env, ...options });
  results.push(result);
  return result;
}

/** Opens a pull request and plans it. */
async function propose(branch: string, inputs: Inputs, options: Partial<JobOptions> = {}) {
  const { event, number } = openPullRequest(world, branch);
  const planned = await run(event, inputs, options);
  return { number, planned, head: event.payload.pull_request.head.sha };
}

/** Merges it and deploys the push. */
async function merge(number: number, inputs: Inputs, options: Partial<JobOptions> = {}) {
  const { push } = world.github.merge(number, 'squash');
  const deployed = await run(push, inputs, options);
  return { deployed, push };
}

const readComment = (number: number): string => world.github.listComments(number)[0]?.body ?? '';
const listErrors = (result: JobResult): string =>
  result.annotations.map(({ message }) => message).join('\n');
const isClientRule = ({ egress, from, cidrIpv4 }: Rule): boolean =>
  !egress && from === 5432 && cidrIpv4 !== null;
const readCloud = (): string => JSON.stringify(world.aws.tables);
const askPrimary = (sql: string, result: JobResult): Promise<string> =>
  query(readServers(world, result).primary, sql);

/** Changes the description of the clients' rule outside Terraform. */
async function editRule(text: string): Promise<{ before: string; restore: () => Promise<void> }> {
  const describe = (value: string) =>
    world.aws.edit(({ rules }) => {
      const rule = Object.values(rules).find(isClientRule);
      if (!rule) throw new Error('there is no rule for clients');
      rule.description = value;
    });
  const before = Object.values(world.aws.tables.rules).find(isClientRule)?.description ?? '';
  await describe(text);
  return { before, restore: () => describe(before) };
}

const results: JobResult[] = [];
let made: JobResult;

describe('reviewed is applied', () => {
  test('a merge applies what the pull request showed, and both say so with the commit', async () => {
    const { number, planned, head } = await propose('create', BASE);
    requireSuccess(planned);
    const checks = world.github.listCheckRuns(head);
    expect(checks.map(({ name, conclusion }) => [name, conclusion])).toEqual([
      ['PostgreSQL plan: postgres', 'success'],
    ]);
    expect(checks[0]?.output.title).toMatch(/new cluster of 2 nodes/);
    const { deployed, push } = await merge(number, BASE);
    made = requireSuccess(deployed);
    expect(deployed.outputs['plan-digest']).toBe(planned.outputs['plan-digest']);
    expect(readComment(number)).toContain(head.slice(0, 7));
    const after = (push.payload as { after: string }).after;
    expect(
      world.github.listCheckRuns(after).map(({ name, conclusion }) => [name, conclusion]),
    ).toEqual([['PostgreSQL deploy: postgres', 'success']]);
    expect(readProof(deployed)).toHaveLength(2);
  });

  test('a change made between review and merge is refused and shown, and nothing changes', async () => {
    const wanted = withSettings('work_mem = 8MB');
    const { number, planned } = await propose('work-mem', wanted);
    requireSuccess(planned);
    // A person edits a rule by hand meanwhile.
    const { before, restore } = await editRule('changed by hand');
    expect(before).not.toBe('changed by hand');
    const cloud = readCloud();
    const { deployed, push } = await merge(number, wanted);
    expect(deployed.conclusion).toBe('failure');
    expect(listErrors(deployed)).toMatch(
      /security_group_ingress_rule\.clients.*description would change/,
    );
    expect(readComment(number)).toMatch(/aws\\?_vpc.*ingress.*clients/s);
    expect(readCloud()).toBe(cloud);
    expect(await askPrimary('SHOW work_mem', made)).toBe('4MB');
    // Once it is restored, the same job succeeds.
    await restore();
    requireSuccess(await run(push, wanted, { runAttempt: 2 }));
    expect(await askPrimary('SHOW work_mem', made)).toBe('8MB');
  });

  test('inputs that differ from those reviewed are refused by name', async () => {
    const { number } = await propose('reviewed-16', withSettings('work_mem = 16MB'));
    const { deployed } = await merge(number, withSettings('work_mem = 1GB'));
    expect(deployed.conclusion).toBe('failure');
    expect(listErrors(deployed)).toMatch(/work_mem.*1GB.*16MB/s);
    expect(await askPrimary('SHOW work_mem', made)).toBe('8MB');
  });

  test('a merge without a review is refused; on-plan-change: apply accepts it with a warning', async () => {
    const wanted = withSettings('work_mem = 12MB');
    const { number } = openPullRequest(world, 'unseen');
    const { deployed, push } = await merge(number, wanted);
    expect(deployed.conclusion).toBe('failure');
    expect(listErrors(deployed)).toContain('Nothing was reviewed');
    const loose = { ...wanted, 'on-plan-change': 'apply' };
    const result = requireSuccess(await run(push, loose, { runAttempt: 2 }));
    expect(listErrors(result)).toContain('Applied all the same');
    expect(await askPrimary('SHOW work_mem', made)).toBe('12MB');
  });

  test('a forged review is ignored: from another app, unsigned, or signed with another key', async () => {
    const wanted = withSettings('work_mem = 20MB');
    const name = 'PostgreSQL plan: postgres';
    const { head: from } = await propose('model', wanted);
    const [real] = world.github.listCheckRuns(from);
    const text = real?.output.text ?? '';
    const unsigned = text.replace(/\.[0-9a-f]{64}/, '.');
    const signed = text.replace(/\.[0-9a-f]{64}/, `.${'0'.repeat(64)}`);
    expect(new Set([text, unsigned, signed]).size).toBe(3);
    for (const [app, forged, reason] of [
      ['mallory', text, 'Nothing was reviewed'],
      ['github-actions', text, 'it is of commit'],
      ['github-actions', unsigned, 'it is not signed'],
      ['github-actions', signed, 'its signature is not that of review-key'],
    ] as const) {
      const { number, event } = openPullRequest(world, `forged-${results.length}`);
      const { sha } = event.payload.pull_request.head;
      // With everything readable from the real one.
      const externalId = real?.external_id ?? '';
      world.github.checkAs(app, { sha, name, text: forged, externalId });
      const { deployed } = await merge(number, wanted);
      expect(deployed.conclusion).toBe('failure');
      expect(listErrors(deployed)).toContain(reason);
    }
    expect(await askPrimary('SHOW work_mem', made)).toBe('12MB');
  });

  test('a rerun after a cancel in the middle of the apply does the rest of the review', async () => {
    const wanted = { ...withSettings('work_mem = 12MB'), 'replica-count': '2' };
    const { number, planned } = await propose('grow', wanted);
    requireSuccess(planned);
    const controller = new AbortController();
    const { deployed, push } = await merge(number, wanted, {
      signal: controller.signal,
      onLine: (line) => {
        if (/aws_ebs_volume\.data\["3"\]: Creation complete/.test(line)) controller.abort();
      },
    });
    expect(deployed.conclusion).toBe('cancelled');
    expect(readComment(number)).toContain('cancelled while applying');
    const rerun = requireSuccess(await run(push, wanted, { runAttempt: 2 }));
    expect(readProof(rerun)).toHaveLength(3);
    expect(readComment(number)).toContain('What was left of the plan reviewed at');
    made = rerun;
  });

  test('a node with data is destroyed only with the label', async () => {
    const wanted = { ...withSettings('work_mem = 12MB'), 'label-prefix': 'db/' };
    const { number, planned } = await propose('shrink', wanted);
    const listLabels = () =>
      world.github.listIssues().find((issue) => issue.number === number)?.labels;
    const named = (...names: string[]) => names.map((name) => expect.objectContaining({ name }));
    expect(planned.conclusion).toBe('failure');
    expect(listLabels()).toEqual(named('db/refused', 'db/destroy'));
    expect(readComment(number)).toMatch(/^###? 🛑 .* blocked · removes node-3/m);
    expect(listErrors(planned)).toContain('label the pull request allow-destroy');
    requireSuccess(await run(world.github.label(number, 'allow-destroy', 'bob'), wanted));
    expect(listLabels()).toEqual(named('db/destroy', 'allow-destroy'));
    expect(readComment(number)).toMatch(/^###? ⚠️ .* planned · removes node-3/m);
    expect(readComment(number)).toContain('by `bob` with the label `allow-destroy`');
    const { deployed } = await merge(number, wanted);
    expect(readComment(number)).toContain('by `bob` with the label `allow-destroy`');
    expect(readProof(requireSuccess(deployed))).toHaveLength(2);
    expect(world.aws.listInstances()).toHaveLength(2);
  });

  nightlyTest('a merge queue plans what it merges, and its push applies that plan', async () => {
    const wanted = withSettings('work_mem = 24MB');
    const one = await propose('queued-1', wanted);
    const two = await propose('queued-2', wanted);
    const queue = world.github.queue([one.number, two.number]);
    for (const group of queue.groups) requireSuccess(await run(group, wanted));
    const { push } = queue.merge();
    const deployed = requireSuccess(await run(push, wanted));
    expect(await askPrimary('SHOW work_mem', deployed)).toBe('24MB');
    expect(readComment(two.number)).toContain('done');
    made = deployed;
  });

  test('the job of an older commit does not undo later changes', async () => {
    const first = withSettings('work_mem = 28MB');
    const { number } = await propose('older', first);
    const { push } = await merge(number, first);
    const second = withSettings('work_mem = 24MB');
    const { number: next } = await propose('newer', second);
    requireSuccess((await merge(next, second)).deployed);
    const rerun = await run(push, first, { runAttempt: 2 });
    expect(rerun.conclusion).toBe('failure');
    expect(listErrors(rerun)).toContain('This is the job of an older commit');
    expect(await askPrimary('SHOW work_mem', made)).toBe('24MB');
  });

  test('drift has one issue for as long as it lasts', async () => {
    const wanted = withSettings('work_mem = 24MB');
    const listDrift = () =>
      world.github.listIssues().filter(({ title }) => title.startsWith('Drift'));
    const look = async () => requireSuccess(await run(world.github.schedule(), wanted));
    await look();
    expect(listDrift()).toEqual([]);
    const { restore } = await editRule('drifted');
    await askPrimary("SELECT pg_create_physical_replication_slot('node_9')", made);
    await look();
    await look();
    const [issue, ...others] = listDrift();
    expect(others).toEqual([]);
    expect(issue?.state).toBe('open');
    expect(issue?.body).toContain('drifted');
    expect(issue?.body).toContain('node_9');
    await restore();
    await askPrimary("SELECT pg_drop_replication_slot('node_9')", made);
    await look();
    expect(listDrift().map(({ state }) => state)).toEqual(['closed']);
  });

  describe('a cluster file', () => {
    const path = 'clusters/orders.yml';
    /** The same cluster as described by the inputs. */
    const describeCluster = (workMem: string): string =>
      world.describeCluster([
        'cluster_name: postgres',
        'instance_type: t3.small',
        'replica_count: 1',
        `settings: { work_mem: ${workMem} }`,
        'require_signature: true',
      ]);
    const FILE = { ...FROM_FILE, 'review-key': REVIEW_KEY };
    /** The plan job has no password. */
    const PLAN = { ...FILE, 'postgres-password': '', 'replication-password': '' };

    const open = (workMem: string, more: { fork?: boolean; contents?: Contents } = {}) => {
      const event = world.github.openPullRequest({
        branch: `file-${results.length}`,
        title: 'Change the file',
        ...more,
        contents: { [path]: describeCluster(workMem), ...more.contents },
      });
      return { target: world.github.asTarget(event), number: event.payload.number };
    };

    test('replaces the inputs without a change in the plan', async () => {
      world.github.push({ contents: { [path]: describeCluster('24MB') } });
      const drift = requireSuccess(await run(world.github.schedule(), PLAN));
      expect(drift.outputs['has-changes']).toBe('false');
      expect(drift.log).toContain('No drift');
      expect(drift.log).toContain('Not checked');
    });

    test('is planned under pull_request_target without a checkout, and its push deploys it', async () => {
      const { target, number } = open('28MB', {
        contents: {
          '.github/workflows/postgres.yml': 'on: push\n',
          'evil.tf': 'resource "terraform_data" "evil" {}\n',
          'ansible.cfg': '[defaults]\nlibrary = evil\n',
        },
      });
      const planned = requireSuccess(await run(target, PLAN));
      expect(readComment(number)).toMatch(/work_mem.*24MB.*28MB/);
      const { push } = world.github.merge(number, 'squash');
      const deployed = requireSuccess(await run(push, FILE));
      expect(deployed.outputs['plan-digest']).toBe(planned.outputs['plan-digest']);
      expect(readComment(number)).toContain('done');
      expect(await askPrimary('SHOW work_mem', deployed)).toBe('28MB');
    });

    test('works with a merge queue', async () => {
      const { target, number } = open('32MB');
      requireSuccess(await run(target, PLAN));
      const queue = world.github.queue([number]);
      for (const group of queue.groups) requireSuccess(await run(group, PLAN));
      const deployed = requireSuccess(await run(queue.merge().push, FILE));
      expect(await askPrimary('SHOW work_mem', deployed)).toBe('32MB');
      expect(readComment(number)).toContain('done');
    });

    nightlyTest('from a fork is planned after a user with write access requested it', async () => {
      const { target, number } = open('36MB', { fork: true });
      requireSuccess(await run(target, PLAN));
      expect(readComment(number)).toContain('waits to be planned');
      expect(readComment(number)).not.toContain('36MB');
      const labeled = world.github.asTarget(world.github.label(number, 'allow-plan'));
      requireSuccess(await run(labeled, PLAN));
      expect(readComment(number)).toMatch(/work_mem.*32MB.*36MB/);
      const { push } = world.github.merge(number, 'merge');
      const deployed = requireSuccess(await run(push, FILE));
      expect(await askPrimary('SHOW work_mem', deployed)).toBe('36MB');
    });

    nightlyTest('is planned from the state alone if there is no private key', async () => {
      const { target, number } = open('40MB', {});
      const key = readFileSync(join(world.folder, 'ssh-key.pub'), 'utf8');
      const planned = await run(target, {
        ...PLAN,
        'ssh-private-key': '',
        'ssh-public-key': key,
      });
      expect(requireSuccess(planned).outputs['has-changes']).toBe('true');
      expect(readComment(number)).toMatch(/work_mem.*36MB.*40MB/);
      expect(readComment(number)).toContain('ssh-private-key');
      expect(readComment(number)).not.toContain('aws_key_pair');
      const { push } = world.github.merge(number, 'squash');
      const deployed = requireSuccess(await run(push, FILE));
      expect(await askPrimary('SHOW work_mem', deployed)).toBe('40MB');
    });
  });

  test('no secret left the runner, in any encoding', () => {
    const { 'ssh-private-key': key, ...passwords } = world.secrets;
    const planted = [
      ...Object.values(passwords),
      ...key.split('\n').filter((line) => line.length > 20 && !line.startsWith('-----')),
      ...Object.values(ENVIRONMENT_SECRETS),
      REVIEW_KEY,
      world.token,
    ];
    expect(planted.length).toBeGreaterThanOrEqual(20);
    const spellings = planted.flatMap((secret) => [
      secret,
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
      encodeURIComponent(secret),
      JSON.stringify(secret).slice(1, -1),
    ]);
    const bodies = world.github.journal.map(({ path, body }) => JSON.stringify({ path, body }));
    const said = results.flatMap(({ raw, rawSummary, outputs, env, state }) => [
      // Only the runner reads the commands that tell it what to mask.
      raw.replaceAll(/^::add-mask::.*$/gm, ''),
      rawSummary,
      JSON.stringify({ outputs, env, state }),
    ]);
    const lasting = listFiles(results.at(-1)?.directories.workspace ?? '');
    expect(lasting.map((path) => basename(path))).toEqual(['known_hosts']);
    const files = [
      ...lasting.map((path) => readFileSync(path, 'utf8')),
      ...results.flatMap((result) => Object.values(result.files)),
    ];
    expect(files.length).toBeGreaterThan(50);
    for (const text of [...bodies, ...said, ...files]) {
      const found = spellings.filter((secret) => text.includes(secret));
      expect(found, text.slice(0, 2_000)).toEqual([]);
      expect(text).not.toMatch(/SCRAM-SHA-256\$/);
    }
    for (const { leftovers, orphans } of results) {
      expect({ leftovers, orphans }).toEqual({ leftovers: [], orphans: [] });
    }
  });
});

function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
