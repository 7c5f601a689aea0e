import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { locateInputs, type SourceLocation } from './locate-in-workflow.ts';

const PATH = '.github/workflows/postgres.yml';
const ENV = {
  GITHUB_REPOSITORY: 'acme/database',
  GITHUB_WORKFLOW_REF: `acme/database/${PATH}@refs/heads/a@b.yml@c`,
  GITHUB_JOB: 'plan',
  GITHUB_ACTION: '__acme_cluster',
  GITHUB_ACTION_REPOSITORY: 'acme/cluster',
};
/** What the step got: all inputs, those that are given nowhere included. */
const INPUTS: Readonly<Record<string, string>> = {
  region: 'nowhere',
  'replica-count': 'two',
  settings: '',
  request: '',
  backend: '',
};

/** A workflow whose job `plan` has these steps, the first of which begins in line 4. */
const workflow = (steps: string) => `on: push\njobs:\n  plan:\n    steps:\n${steps}`;

interface Case {
  env?: Record<string, string | undefined>;
  inputs?: Record<string, string>;
  files?: Record<string, string>;
}

async function annotate(
  text: string,
  problem: string,
  { env, inputs, files }: Case = {},
): Promise<SourceLocation> {
  const all: Record<string, string> = { [PATH]: text, ...files };
  const find = await locateInputs({
    env: { ...ENV, ...env },
    inputs: { ...INPUTS, ...inputs },
    read: async (path) => all[path] ?? null,
  });
  return find(problem);
}

/** Asserts that the annotation is at the line that says `mark`. */
async function expectAt(
  text: string,
  mark: string,
  { problem, ...rest }: Case & { problem: string },
): Promise<void> {
  const found = await annotate(text, problem, rest);
  const lines = text.split('\n');
  expect(found.file).toBe(PATH);
  expect(lines[(found.startLine ?? 0) - 1]).toContain(mark);
}

const STEP = `
      - uses: actions/checkout@v5
        with:
          region: checkout's
      # region: a comment
      - name: "region: a name"
        uses: acme/cluster@v1 # HERE: uses
        with:
          # region: a comment
          region: nowhere # HERE: region
          replica-count: \${{ vars.REPLICAS }} # HERE: replicas
`;

describe('an input', () => {
  test.each([
    ['region: "nowhere" is not allowed.', 'HERE: region'],
    ['replica-count: "two" is not allowed.', 'HERE: replicas'],
    ['backend: missing. Terraform would …', 'HERE: uses'],
    ['request.replica_count: "two" is not allowed.', 'HERE: uses'],
  ])('%s', async (problem, mark) => {
    await expectAt(workflow(STEP), mark, { problem });
  });

  test('title and file are what core.error takes', async () => {
    expect(await annotate(workflow(STEP), 'region: bad')).toEqual({
      file: PATH,
      startLine: 14,
      title: 'Input region',
    });
  });

  test.each([
    'client_payload.fenced: "x" is not allowed.',
    'This runs as a GitHub Action only; not set: GITHUB_SHA.',
    'toString: no input',
    'node-1: no input',
    '',
  ])('none: %s', async (problem) => {
    expect(await annotate(workflow(STEP), problem)).toEqual({});
  });

  test.each<[string, string]>([
    ['quotes', `      - 'uses': "acme/cluster@v1"\n        "with": {}\n`],
    ['a flow map', `      - {uses: acme/cluster@v1, with: {settings: "region: x"}}\n`],
    ['no with', `      - uses: acme/cluster@v1\n`],
    ['an empty with', `      - uses: acme/cluster@v1\n        with:\n`],
  ])('given nowhere: %s', async (_, steps) => {
    const inputs = steps.includes('settings') ? { settings: 'region: x' } : {};
    await expectAt(workflow(steps), 'uses', { problem: 'region: bad', inputs });
  });

  test.each<[string, string]>([
    ['quoted key and value', `        with:\n          "region": 'nowhere' # HERE\n`],
    ['another case', `        with:\n          Region: nowhere # HERE\n`],
    [
      'a flow map of lines',
      `        with: {\n          backend: '',\n          region: nowhere, # HERE\n        }\n`,
    ],
    ['a value in the next line', `        with:\n          region: # HERE\n            nowhere\n`],
    ['a number', `        with:\n          replica-count: 2\n          region: nowhere # HERE\n`],
    ['nothing', `        with:\n          backend:\n          region: nowhere # HERE\n`],
    [
      'a block before it that looks like it',
      `        with:\n          settings: |\n            region: nowhere\n\n            # region: nowhere\n          region: nowhere # HERE\n`,
    ],
  ])('%s', async (name, rest) => {
    const inputs: Record<string, string> = {};
    if (name === 'a number') inputs['replica-count'] = '2';
    if (name.startsWith('a block')) inputs.settings = 'region: nowhere\n\n# region: nowhere';
    const text = workflow(`      - uses: acme/cluster@v1\n${rest}`);
    await expectAt(text, 'HERE', { problem: 'region: bad', inputs });
  });

  test('from an anchor, at the anchor', async () => {
    const text = `on: push
env:
  REGION: &region
    nowhere
jobs:
  deploy:
    steps: &steps
      - uses: acme/cluster@v1
        with: &with
          region: *region # HERE
          settings: &settings |
            a = 1
            b
  plan:
    steps: *steps
`;
    const inputs = { settings: 'a = 1\nb' };
    await expectAt(text, '# HERE', { problem: 'region: bad', inputs });
    await expectAt(text, '            b', { problem: 'settings: line 2: b has no value.', inputs });
  });
});

describe('a line of an input', () => {
  const step = (settings: string) =>
    workflow(`      - uses: acme/cluster@v1\n        with:\n          settings: ${settings}\n`);
  const problem = 'settings: line 2: no.';

  test.each<[string, string, string]>([
    ['literal', '| # a comment\n            a = 1\n            b = 2', 'b = 2'],
    ['with indentation and chomping', '|2-\n            a = 1\n            b = 2\n', 'b = 2'],
    ['after blank lines', '|\n\n\n            a = 1\n            b = 2\n\n', 'b = 2'],
    ['with an expression', `|\n            \${{ a }}\n            b = \${{ b }}`, `b = \${{`],
    ['folded', '>\n            a = 1\n\n            b = 2', 'settings: >'],
    ['quoted', '"a = 1\\nb = 2"', 'settings: "'],
    ['quoted in lines', '"a = 1\n\n            b = 2"', 'settings: "'],
    ['an expression alone', `\${{ vars.SETTINGS }}`, `settings: \${{`],
  ])('%s', async (_, settings, mark) => {
    await expectAt(step(settings), mark, { problem, inputs: { settings: 'a = 1\nb = 2' } });
  });

  test('the line of a setting that the server does not know', async () => {
    const inputs = { settings: 'work_mem = 1MB\nShared_bufers = 1GB' };
    const text = step(`|\n            work_mem = 1MB\n            Shared_bufers = 1GB\n`);
    const unknown = 'settings: the server knows no setting "shared_bufers". Correct the name.';
    await expectAt(text, 'Shared_bufers', { problem: unknown, inputs });
    const other = 'settings: shared_buffers (8GB) is more than the memory.';
    await expectAt(text, 'settings: |', { problem: other, inputs });
  });

  test('below an expression that became several lines: the input', async () => {
    const text = step(`|\n            \${{ a }}\n            b = 2`);
    await expectAt(text, 'settings: |', { problem, inputs: { settings: 'a = 1\nx\nb = 2' } });
  });
});

describe('the step, of several that use the action', () => {
  const two = workflow(`
      - uses: acme/cluster@v1
        with:
          region: one
      - id: __not-allowed
        run: echo
      - uses: acme/cluster/sub@v1
        with:
          region: two
      - id: third
        uses: acme/cluster@v2
        with:
          region: \${{ 'three' }}
`);

  test.each([
    ['__acme_cluster', 'one'],
    ['__acme_cluster_2', 'two'],
    ['third', 'three'],
  ])('%s', async (action, region) => {
    await expectAt(two, `region: ${region === 'three' ? '$' : region}`, {
      problem: 'region: bad',
      env: { GITHUB_ACTION: action },
      inputs: { region },
    });
  });

  test('of its own repository', async () => {
    const text = workflow('      - uses: ./\n        with: {region: nowhere}\n');
    const env = { GITHUB_ACTION: '__self', GITHUB_ACTION_REPOSITORY: undefined };
    await expectAt(text, 'nowhere', { problem: 'region: bad', env });
  });

  const good = workflow('      - uses: acme/cluster@v1\n        with: {region: nowhere}\n');
  test.each<[string, string, Case]>([
    ['another job runs', good, { env: { GITHUB_JOB: 'deploy' } }],
    ['another step runs', good, { env: { GITHUB_ACTION: '__acme_cluster_2' } }],
    ['it is within another action', good, { env: { GITHUB_ACTION: '__acme_wrapper' } }],
    ['another action runs', good, { env: { GITHUB_ACTION_REPOSITORY: 'acme/other' } }],
    ['the file is another than what ran', good, { inputs: { region: 'us-east-1' } }],
    ['the workflow is of another repository', good, { env: { GITHUB_REPOSITORY: 'acme/app' } }],
    ['the variables are missing', good, { env: { GITHUB_WORKFLOW_REF: undefined } }],
    ['the path leads out', good, { env: { GITHUB_WORKFLOW_REF: 'acme/database/../x.yml@main' } }],
    ['there are no steps', 'on: push\njobs: {plan: {}}\n', {}],
    ['there are steps in parallel', `${good}      - parallel: []\n`, {}],
    ['it is no workflow', '- a\n- b\n', {}],
    ['it is empty', '', {}],
    ['it is no YAML', `${good}\n  : [`, {}],
  ])('no line when %s', async (_, text, options) => {
    expect(await annotate(text, 'region: bad', options)).toEqual({});
  });
});

describe('a called workflow', () => {
  const called = workflow(
    '      - uses: acme/cluster@v1\n        with:\n          region: nowhere\n',
  );
  const caller = (uses: string, more = '') =>
    `on: push\njobs:\n  call:\n    uses: ${uses}\n  twice:\n    uses: ${uses}\n${more}`;
  const LOCAL = './.github/workflows/cluster.yml';
  const file = LOCAL.slice(2);
  const own = `  plan:\n    steps:\n      - uses: acme/cluster@v1\n        with: {region: nowhere}\n`;

  test('of the same repository, called twice and from each other', async () => {
    const files = { [file]: `${called}  again:\n    uses: ${LOCAL}\n` };
    expect(await annotate(caller(LOCAL), 'region: bad', { files })).toEqual({
      file,
      startLine: 7,
      title: 'Input region',
    });
  });

  test.each<[string, string, Record<string, string>]>([
    ['cannot be read', caller(LOCAL, own), {}],
    ['is of another repository', caller('acme/ci/.github/workflows/x.yml@v1', own), {}],
    ['has the same job', caller(LOCAL, own), { [file]: called }],
  ])('no line when it %s', async (_, text, files) => {
    expect(await annotate(text, 'region: bad', { files })).toEqual({});
  });

  test('the values tell which of the two it is', async () => {
    const files = { [file]: called.replace('nowhere', 'elsewhere') };
    await expectAt(caller(LOCAL, own), 'with: {region', { problem: 'region: bad', files });
  });
});

test.each([
  ['plan', 'postgres'],
  ['deploy', 'deploy'],
  ['drift', 'drift'],
])('the workflow in the documentation, job %s', async (job) => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/workflows/postgres.yml'), 'utf8');
  const inputs = { 'cluster-file': 'clusters/orders.yml', region: '' };
  const env = {
    GITHUB_JOB: job,
    GITHUB_ACTION: '__OWNER_postgres-cluster-action',
    GITHUB_ACTION_REPOSITORY: 'OWNER/postgres-cluster-action',
  };
  await expectAt(text, 'cluster-file: clusters/orders.yml', {
    problem: 'cluster-file: no',
    env,
    inputs,
  });
  await expectAt(text, 'uses: OWNER/', { problem: 'region: no', env, inputs });
});
