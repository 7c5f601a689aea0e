import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { WorkflowEvent } from '../github/event.ts';
import type { GitHub } from '../github/github.ts';
import { startGitHub } from '../github/github.ts';
import type { JobOptions, JobResult } from './job.ts';
import { runJob } from './job.ts';

// Each test starts a few processes, and a cancel takes ten seconds.
vi.setConfig({ testTimeout: 30_000 });

let root: string;
let github: GitHub;
let event: WorkflowEvent;
let count = 0;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'runner-'));
  github = await startGitHub();
  event = github.openPullRequest({
    branch: 'more-replicas',
    title: 'Add a replica',
    author: 'dave',
  });
});

afterAll(async () => {
  await github.stop();
  rmSync(root, { recursive: true });
});

const metadata = `name: Test
description: Throw-away
inputs:
  replica-count: { description: a, default: 2 }
  github-token: { description: b, default: '\${{ github.token }}' }
  with space: { description: c }
  old: { description: d, deprecationMessage: use replica-count }
`;

/** Writes a temporary action and runs it. */
async function run(
  scripts: { main: string; post?: string; postIf?: string },
  options: Partial<JobOptions> = {},
): Promise<JobResult> {
  count += 1;
  const directory = join(root, `action-${count}`);
  mkdirSync(directory);
  const prelude = `import { appendFileSync as append, writeFileSync as write } from 'node:fs';
    import { spawn } from 'node:child_process';
    const say = (line) => process.stdout.write(line + '\\n'); const env = process.env;\n`;
  writeFileSync(join(directory, 'main.mjs'), prelude + scripts.main);
  if (scripts.post !== undefined)
    writeFileSync(join(directory, 'post.mjs'), prelude + scripts.post);
  const post = scripts.post === undefined ? '' : ', post: post.mjs';
  const postIf = scripts.postIf === undefined ? '' : `, post-if: '${scripts.postIf}'`;
  writeFileSync(
    join(directory, 'action.yml'),
    `${metadata}runs: { using: node24, main: main.mjs${post}${postIf} }\n`,
  );
  return runJob({
    actionDirectory: directory,
    workDirectory: join(root, `work-${count}`),
    event,
    urls: github.urls,
    token: 'ghs_jobtoken',
    ...options,
  });
}

const printEnvironment = `append(env.GITHUB_OUTPUT, 'env=' + JSON.stringify(env) + '\\n');`;

async function readEnvironment(options: Partial<JobOptions> = {}): Promise<Record<string, string>> {
  const { outputs } = await run({ main: printEnvironment }, options);
  return JSON.parse(outputs.env ?? '{}') as Record<string, string>;
}

describe('the environment of an action', () => {
  test('has inputs, defaults, GITHUB_* and RUNNER_* as on GitHub', async () => {
    const env = await readEnvironment({ inputs: { 'with space': 'x y', 'Replica-Count': '3' } });
    expect(env).toMatchObject({
      'INPUT_REPLICA-COUNT': '3',
      'INPUT_GITHUB-TOKEN': 'ghs_jobtoken',
      INPUT_WITH_SPACE: 'x y',
      INPUT_OLD: '',
      GITHUB_EVENT_NAME: 'pull_request',
      GITHUB_REF: 'refs/pull/1/merge',
      GITHUB_REF_NAME: '1/merge',
      GITHUB_SHA: event.sha,
      GITHUB_HEAD_REF: 'more-replicas',
      GITHUB_BASE_REF: 'main',
      GITHUB_REPOSITORY: 'acme/database',
      GITHUB_REPOSITORY_OWNER: 'acme',
      GITHUB_ACTOR: 'dave',
      GITHUB_API_URL: github.urls.api,
      GITHUB_GRAPHQL_URL: github.urls.graphql,
      GITHUB_SERVER_URL: github.urls.server,
      GITHUB_RUN_ATTEMPT: '1',
      GITHUB_ACTIONS: 'true',
      RUNNER_OS: 'Linux',
      RUNNER_ENVIRONMENT: 'github-hosted',
      CI: 'true',
    });
    expect(env.GITHUB_WORKSPACE).toMatch(/\/database\/database$/);
    expect(env.RUNNER_TEMP).toMatch(/\/_temp$/);
    expect(Object.keys(env)).not.toContain('GITHUB_TOKEN');
    expect(Object.keys(env)).not.toContain('RUNNER_DEBUG');
  });

  test('has only PATH and HOME from the caller', async () => {
    process.env.AWS_PROFILE = 'mine';
    try {
      const env = await readEnvironment({ env: { AWS_REGION: 'us-east-1' } });
      const foreign = Object.keys(env).filter(
        (name) => !/^(GITHUB_|RUNNER_|INPUT_|STATE_|PATH$|HOME$|LANG$|CI$)/.test(name),
      );
      expect(foreign).toEqual(['AWS_REGION']);
      expect(env.PATH).toBe(process.env.PATH);
    } finally {
      delete process.env.AWS_PROFILE;
    }
  });

  test('names the payload, and starts in the workspace', async () => {
    const { outputs, directories } = await run({
      main: `import { readFileSync } from 'node:fs';
        const { number } = JSON.parse(readFileSync(env.GITHUB_EVENT_PATH, 'utf8'));
        append(env.GITHUB_OUTPUT, 'number=' + number + '\\ncwd=' + process.cwd() + '\\n');`,
    });
    expect(outputs).toEqual({ number: '1', cwd: directories.workspace });
  });

  test('warns about unknown and deprecated inputs', async () => {
    const { annotations, conclusion } = await run(
      { main: '' },
      { inputs: { old: '1', replicas: '2', colour: 'red' } },
    );
    expect(conclusion).toBe('success');
    expect(annotations.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      "warning: Input 'old' has been deprecated with message: use replica-count",
      "warning: Unexpected input(s) 'replicas', 'colour', valid inputs are ['replica-count', 'github-token', 'with space', 'old']",
    ]);
  });
});

describe('the output of an action', () => {
  test('reaches outputs, summary, state, env and PATH, and post sees the state of main', async () => {
    const result = await run({
      main: `append(env.GITHUB_OUTPUT, 'plan<<E\\nline 1\\nline 2\\nE\\n');
        append(env.GITHUB_STATE, 'pid=42\\n');
        append(env.GITHUB_ENV, 'CLUSTER=main\\n');
        append(env.GITHUB_PATH, '/opt/first\\n/opt/second\\n');
        append(env.GITHUB_STEP_SUMMARY, '## Plan\\n');
        write(env.RUNNER_TEMP + '/key', 'x');`,
      post: `append(env.GITHUB_STEP_SUMMARY, [env.STATE_pid, env.CLUSTER, env.PATH].join(' ') + '\\n');
        append(env.GITHUB_OUTPUT, 'late=1\\n');`,
    });
    expect(result).toMatchObject({
      conclusion: 'success',
      outputs: { plan: 'line 1\nline 2' },
      state: { pid: '42' },
      env: { CLUSTER: 'main' },
      path: ['/opt/second', '/opt/first'],
      leftovers: ['key'],
      orphans: [],
      post: { conclusion: 'success', exitCode: 0 },
    });
    expect(result.outputs).not.toHaveProperty('late');
    expect(result.summary).toBe(`## Plan\n42 main /opt/second:/opt/first:${process.env.PATH}\n`);
    expect(result.log).toContain('Post job cleanup.\n');
  });

  test.each([
    [
      'an output without a delimiter',
      `append(env.GITHUB_OUTPUT, 'a<<E\\nx\\n');`,
      "Matching delimiter not found 'E'",
    ],
    ['a disabled command', `say('::set-env name=A::1');`, 'The `set-env` command is disabled.'],
    ['an exit code', 'process.exitCode = 3;', undefined],
  ])('fails the job: %s', async (_case, main, message) => {
    const result = await run({ main, post: `say('cleaned up');` });
    expect(result.conclusion).toBe('failure');
    expect(result.post?.conclusion).toBe('success');
    expect(result.log).toContain('cleaned up');
    const messages = result.annotations.map((annotation) => annotation.message).join('\n');
    if (message !== undefined) expect(messages).toContain(message);
  });

  test('fails the job if post fails; a post whose condition is false does not run', async () => {
    const failing = await run({ main: '', post: 'process.exit(1);' });
    expect(failing).toMatchObject({ conclusion: 'failure', main: { conclusion: 'success' } });
    const skipped = await run({ main: '', post: 'process.exit(1);', postIf: 'failure()' });
    expect(skipped).toMatchObject({ conclusion: 'success', post: undefined });
  });

  test('is not shown if it is a summary over 1 MiB', async () => {
    const { summary, rawSummary, annotations, conclusion } = await run({
      main: `append(env.GITHUB_STEP_SUMMARY, 'x'.repeat(1024 * 1024 + 1));`,
    });
    expect(conclusion).toBe('success');
    expect(summary).toBe('');
    expect(rawSummary).toHaveLength(1024 * 1024 + 1);
    expect(annotations[0]?.message).toContain('supports content up to a size of 1024k');
  });
});

describe('the log of a job', () => {
  test('masks a secret from then on, in the log, annotations and summary, but not in outputs', async () => {
    const result = await run(
      {
        main: `say('early tide-pool'); say('known from-the-start');
          say('::add-mask::tide-pool'); say('late tide-pool');
          process.stderr.write('err tide-pool without line end');
          say('::error file=' + env.GITHUB_WORKSPACE + '/main.tf,line=3::bad tide-pool');
          append(env.GITHUB_STEP_SUMMARY, 'sum tide-pool\\n');
          append(env.GITHUB_OUTPUT, 'o=tide-pool\\n');`,
      },
      { secrets: ['from-the-start\n'], inputs: { 'with space': 'from-the-start' } },
    );
    const lines = result.log.split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'early tide-pool',
        'known ***',
        'late ***',
        'err *** without line end',
        '  with space: ***',
        '  github-token: ***',
      ]),
    );
    expect(lines.filter((line) => line.includes('tide-pool'))).toEqual(['early tide-pool']);
    expect(result.raw).toContain('late tide-pool');
    expect(result.annotations).toEqual([
      { level: 'error', message: 'bad ***', properties: { file: 'main.tf', line: '3' } },
    ]);
    expect(result.summary).toBe('sum ***\n');
    expect(result.rawSummary).toBe('sum tide-pool\n');
    expect(result.outputs).toEqual({ o: 'tide-pool' });
  });

  test('stops and resumes commands', async () => {
    const { annotations, log } = await run({
      main: `say('::stop-commands::secret-token'); say('::error::quoted plan text');
        say('::secret-token::'); say('::warning::real');`,
    });
    expect(annotations).toEqual([{ level: 'warning', message: 'real', properties: {} }]);
    expect(log).toContain('::error::quoted plan text');
    expect(log).not.toContain('secret-token');
  });

  test('folds groups, hides debug lines, and keeps ten annotations per level', async () => {
    const main = `say('::group::Plan'); say('::debug::detail'); say('::endgroup::');
      for (let i = 0; i < 12; i += 1) say('::notice::n' + i);`;
    const quiet = await run({ main });
    expect(quiet.log).toContain('##[group]Plan\n##[endgroup]\n');
    expect(quiet.annotations).toHaveLength(10);
    expect(quiet.log).toContain('##[notice]n11');
    const loud = await run({ main }, { debug: true });
    expect(loud.log).toContain('##[debug]detail');
  });

  test('arrives line by line', async () => {
    const seen: string[] = [];
    await run(
      { main: `process.stdout.write('a\\rb\\r\\nc\\n\\n\\u00e9'); ` },
      { onLine: (line) => seen.push(line) },
    );
    expect(seen.slice(-5)).toEqual(['a', 'b', 'c', '', 'é']);
  });
});

/** Whether a process still runs; a dead one may wait for its parent as a zombie. */
function isAlive(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/\) [ZX] /.test(readFileSync(path, 'utf8'));
}

/** Cancels as soon as the action reports that it is ready. */
function cancelWhenReady(): Pick<JobOptions, 'signal' | 'onLine'> {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    onLine: (line) => {
      if (line === 'ready') controller.abort();
    },
  };
}

const forever = 'setInterval(() => {}, 1000);';

describe.concurrent('a cancel', () => {
  test('sends SIGINT only to the entry process, then runs post', async () => {
    const result = await run(
      {
        main: `const child = spawn(process.execPath, ['-e', "process.on('SIGINT', () => console.log('child heard'));setInterval(() => {}, 1000)"], { stdio: 'inherit' });
          process.on('SIGINT', () => { say('heard'); append(env.GITHUB_STATE, 'told=yes\\n'); child.kill('SIGKILL'); process.exit(0); });
          setTimeout(() => say('ready'), 300);`,
        post: `say('state ' + env.STATE_told);`,
      },
      cancelWhenReady(),
    );
    expect(result).toMatchObject({
      conclusion: 'cancelled',
      main: { conclusion: 'cancelled', exitCode: 0 },
      post: { conclusion: 'success' },
      orphans: [],
    });
    expect(result.log).toContain('heard\n');
    expect(result.log).not.toContain('child heard');
    expect(result.log).toContain('##[error]The operation was canceled.\n');
    expect(result.log).toContain('state yes\n');
    expect(result.main?.durationMs).toBeLessThan(5000);
  });

  test('sends SIGTERM after 7.5 s if SIGINT is ignored', async () => {
    const result = await run(
      {
        main: `process.on('SIGINT', () => {}); process.on('SIGTERM', () => process.exit(9));
          say('ready'); ${forever}`,
      },
      cancelWhenReady(),
    );
    expect(result.main).toMatchObject({ conclusion: 'cancelled', exitCode: 9 });
    expect(result.main?.durationMs).toBeGreaterThan(7400);
    expect(result.main?.durationMs).toBeLessThan(9800);
  });

  test('sends SIGKILL 2.5 s later if both are ignored', async () => {
    const result = await run(
      {
        main: `process.on('SIGINT', () => {}); process.on('SIGTERM', () => {});
          say('ready'); ${forever}`,
        post: `say('cleaned up');`,
      },
      cancelWhenReady(),
    );
    expect(result.main).toMatchObject({
      conclusion: 'cancelled',
      signal: 'SIGKILL',
      exitCode: null,
    });
    expect(result.main?.durationMs).toBeGreaterThan(9900);
    expect(result.main?.durationMs).toBeLessThan(14_000);
    expect(result.log).toContain('cleaned up');
  });

  test('before the start runs nothing', async () => {
    const result = await run({ main: '', post: '' }, { signal: AbortSignal.abort() });
    expect(result).toMatchObject({ conclusion: 'cancelled', main: undefined, post: undefined });
  });
});

describe.concurrent('orphan processes', () => {
  test('are found, reported and killed', async () => {
    const result = await run({
      main: `const quiet = { stdio: 'ignore', detached: true };
        spawn('sleep', ['300.5'], quiet).unref();
        spawn('sleep', ['300.6'], { stdio: 'ignore', env: {} }).unref();
        spawn('sleep', ['0.1'], quiet).unref();`,
    });
    expect(result.conclusion).toBe('success');
    expect(result.orphans.map(({ command }) => command).sort()).toEqual([
      'sleep 300.5',
      'sleep 300.6',
    ]);
    expect(result.log).toMatch(/Terminate orphan process: pid \(\d+\) \(sleep 300.5\)/);
    await vi.waitFor(() => expect(result.orphans.filter(({ pid }) => isAlive(pid))).toEqual([]));
  });

  test('that keep the output open delay the job by 5 s, no longer', async () => {
    const result = await run({
      main: `spawn('sleep', ['300.7'], { stdio: 'inherit', detached: true }).unref();
        say('done'); process.exit(0);`,
    });
    expect(result.orphans.map(({ command }) => command)).toEqual(['sleep 300.7']);
    expect(result.main).toMatchObject({ conclusion: 'success', exitCode: 0 });
    expect(result.main?.durationMs).toBeGreaterThan(4900);
    expect(result.main?.durationMs).toBeLessThan(9000);
  });
});

test('refuses an action whose script is missing', async () => {
  const directory = join(root, 'unbuilt');
  mkdirSync(directory);
  writeFileSync(
    join(directory, 'action.yml'),
    `${metadata}runs: { using: node24, main: dist/index.js }\n`,
  );
  await expect(
    runJob({
      actionDirectory: directory,
      workDirectory: join(root, 'work-unbuilt'),
      event,
      urls: github.urls,
      token: 't',
    }),
  ).rejects.toThrow(/dist\/index\.js': build the action first/);
});
