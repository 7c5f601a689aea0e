import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseDocument } from 'yaml';
import { readDemoOptions, readDownOptions } from '../lab/demo-options.ts';
import { readInputsFromFile } from '../src/inputs/cluster-file-fixtures.ts';
import { CLUSTER_KEYS } from '../src/inputs/cluster-schema.ts';
import { ACTION_INPUTS } from '../src/inputs/input-fixtures.ts';

// Whether what a reader copies from the documentation works: cluster files, the inputs of workflows, commands.

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const list = (folder: string, end: RegExp) =>
  readdirSync(join(root, folder))
    .filter((name) => end.test(name))
    .map((name) => `${folder}/${name}`);

const PAGES = [
  ...['README.md', 'setup/README.md'],
  ...['docs/tutorial', 'docs/how-to', 'docs/explanation', 'docs/reference'].flatMap((folder) =>
    list(folder, /\.md$/),
  ),
];

/** Values that a reader replaces. */
const PLACEHOLDERS: readonly (readonly [string, string])[] = [
  ['NETWORK/OF/YOUR/APPLICATIONS', '10.0.0.0/16'],
  ['BUCKET', 'acme-states'],
  ['::…:', '::123456789012:'],
];

/** A block of YAML, or a file, and where it is. */
interface Block {
  readonly place: string;
  readonly text: string;
  readonly value: unknown;
}

const BLOCKS: readonly Block[] = PAGES.flatMap((page) => {
  const text = read(page);
  return [...text.matchAll(/^( *)```ya?ml\n(.*?)^\1```$/gms)].map((match) => {
    const [, indent = '', body = ''] = match;
    const line = text.slice(0, match.index).split('\n').length;
    return toBlock(`${page}:${line}`, body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''));
  });
});

function toBlock(place: string, text: string): Block {
  const document = parseDocument(text);
  expect(document.errors, place).toEqual([]);
  return { place, text, value: document.toJS() };
}

/** Top-level keys of GitHub's workflows, jobs and events in the blocks. */
const WORKFLOW_KEYS = ['on', 'jobs', 'if', 'repository_dispatch', 'steps'];

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a block is: a cluster file or some of its keys, a workflow or a part of one, or inputs of a step. */
function classify({ value }: Block): 'cluster' | 'workflow' | 'inputs' {
  if (!isMap(value) || Object.keys(value).some((key) => WORKFLOW_KEYS.includes(key)))
    return 'workflow';
  return Object.keys(value).some((key) => key.includes('-')) ? 'inputs' : 'cluster';
}

const select = (kind: ReturnType<typeof classify>) =>
  BLOCKS.filter((block) => classify(block) === kind);

/** What every cluster file has; a block of some keys is read together with the others. */
const BASE: Readonly<Record<string, string>> = {
  cluster_name: 'cluster_name: orders',
  region: 'region: us-east-1',
  replica_count: 'replica_count: 2',
  backend: 'backend: s3',
  backend_config: 'backend_config: { bucket: states, key: orders.tfstate, region: us-east-1 }',
};

const FILES = [
  ...select('cluster'),
  ...list('docs/workflows/clusters', /\.yml$/).map((path) => toBlock(path, read(path))),
];

test.each(FILES)('$place is a cluster file that the action accepts', async ({ text, value }) => {
  const keys = Object.keys(value as object);
  expect(keys.filter((key) => !(CLUSTER_KEYS as readonly string[]).includes(key))).toEqual([]);
  const others = Object.entries(BASE).flatMap(([key, line]) => (keys.includes(key) ? [] : [line]));
  const filled = PLACEHOLDERS.reduce((all, [from, to]) => all.replaceAll(from, to), text);
  const { problems } = await readInputsFromFile([...others, filled].join('\n'), {
    step: { 'review-key': 'k'.repeat(64) },
  });
  expect(problems).toEqual([]);
});

/** The inputs of the action that a workflow, or a part of one, gives. */
function listInputs(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(listInputs);
  if (!isMap(value)) return [];
  const isOurs = /\/postgres-cluster-action@/.test(String(value.uses ?? ''));
  return isOurs && isMap(value.with)
    ? Object.keys(value.with)
    : Object.values(value).flatMap(listInputs);
}

const WORKFLOWS = [
  ...select('workflow').map(({ place, value }) => ({ place, inputs: listInputs(value) })),
  ...select('inputs').map(({ place, value }) => ({ place, inputs: Object.keys(value as object) })),
  ...list('docs/workflows', /\.yml$/).map((path) => ({
    place: path,
    inputs: listInputs(parse(read(path))),
  })),
];

test.each(WORKFLOWS)('$place gives inputs that action.yml has', ({ inputs }) => {
  expect(inputs.filter((name) => !(name in ACTION_INPUTS))).toEqual([]);
});

test('blocks of every kind were found', () => {
  expect(select('cluster').length).toBeGreaterThan(10);
  expect(select('inputs').length).toBeGreaterThan(0);
  expect(WORKFLOWS.filter(({ inputs }) => inputs.length > 5).length).toBeGreaterThan(1);
});

/** Returns what follows a program's name in every command of every page, with the page. */
function listCommands(program: RegExp): { page: string; rest: string }[] {
  return PAGES.flatMap((page) => {
    const text = read(page).replaceAll('\\\n', ' ');
    // A command in a sentence may be broken into two lines, one in a block may not.
    const fenced = [...text.matchAll(/^ *```\w*\n(.*?)^ *```$/gms)].flatMap(([, body = '']) =>
      body.split('\n').map((line) => line.replace(/(?:^|\s)#.*$/, '')),
    );
    const inline = [...text.replaceAll(/^ *```\w*\n.*?^ *```$/gms, '').matchAll(/`([^`]+)`/g)].map(
      ([, code = '']) => code.replaceAll('\n', ' '),
    );
    return [...fenced, ...inline].flatMap((line) => {
      const found = program.exec(line);
      return found === null ? [] : [{ page, rest: line.slice(found.index + found[0].length) }];
    });
  });
}

/** Splits arguments as a shell does; there is nothing but single quotes to undo. */
const split = (text: string): string[] =>
  (text.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ''));

describe('commands', () => {
  const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts);

  test('npm run', () => {
    const named = listCommands(/^\s*npm run /).map(({ rest }) => split(rest)[0] ?? '');
    expect(named).toContain('demo:down');
    expect(named.filter((name) => !scripts.includes(name))).toEqual([]);
  });

  test.each<[string, RegExp, string, (args: string[]) => unknown]>([
    ['demo', /^\s*npm run demo(?= |$)/, '--destroy', readDemoOptions],
    ['demo:down', /^\s*npm run demo:down(?= |$)/, '--keep-images', readDownOptions],
  ])('npm run %s', (_, program, option, parse) => {
    const commands = listCommands(program);
    expect(commands.map(({ rest }) => rest).join('\n')).toContain(option);
    for (const { page, rest } of commands) {
      const [dashes, ...args] = split(rest);
      expect([undefined, '--'], page).toContain(dashes);
      expect(() => parse(args), page).not.toThrow();
    }
  });

  test('setup/github.sh', () => {
    const script = read('setup/github.sh');
    const known = [...script.matchAll(/^ {4}(--[a-z-]+)(?: \| -\w)?\) /gm)].map(([, name]) => name);
    const options = listCommands(/(?:^|\/)github\.sh/).flatMap(({ rest }) => findOptions(rest));
    expect(options).toEqual(expect.arrayContaining(['--repository', '--plan-role', '--rotate']));
    expect(known).toEqual(expect.arrayContaining(options));
    // Options that a sentence names alone.
    const [, section = ''] = read('setup/README.md').split('\n## 2. GitHub\n');
    const alone = [...section.matchAll(/`(--[a-z-]+)/g)].map(([, name]) => name);
    expect(alone.length).toBeGreaterThan(1);
    expect(known).toEqual(expect.arrayContaining(alone));
  });
});

const findOptions = (text: string): string[] => text.match(/--[a-z][a-z-]*/g) ?? [];
