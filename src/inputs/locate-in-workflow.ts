import type { Document, LineCounter, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { parseSettingLines } from '../cluster/settings/lines.ts';
import { findSetting } from './settings-input.ts';

/** Where an annotation is shown, as `core.error` takes it; empty where that is not known for sure. */
export interface SourceLocation {
  readonly file?: string;
  readonly startLine?: number;
  readonly title?: string;
}

/** Gives the place of a problem that begins with an input's name and a colon. */
export type LocateProblem = (problem: string) => SourceLocation;

/** What is known of the step that runs. */
export interface StepSearch {
  /** The runner's variables (GitHub docs, "Default environment variables"). */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** All inputs by name, as the step got them. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Returns a workflow file of the repository; null where it cannot be read. */
  readonly read: (path: string) => Promise<string | null>;
}

/**
 * Finds, in the workflow file and the workflows of the repository that it calls, the step that runs, and in
 * it the line of each input; an input that is not given there is at `uses:`, and a problem that names a line
 * of a literal block (`settings: line 2: …`) is at that very line.
 *
 * Annotates nothing rather than a wrong line: where the file cannot be read, is not the one that ran, or
 * where another step could be meant. Throws nothing; a problem is worth saying without its line, too.
 */
export async function locateInputs(search: StepSearch): Promise<LocateProblem> {
  try {
    const step = await findStep(search);
    return step === null ? () => ({}) : (problem) => findPlace(problem, { step, ...search });
  } catch {
    return () => ({});
  }
}

interface Workflow {
  readonly path: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly yaml: typeof import('yaml');
}

interface Step {
  readonly workflow: Workflow;
  readonly uses: Pair<Scalar>;
  readonly given: ReadonlyMap<string, Pair<Scalar>>;
}

async function findStep(search: StepSearch): Promise<Step | null> {
  const { env, inputs } = search;
  const path = readPath(env.GITHUB_WORKFLOW_REF ?? '', env.GITHUB_REPOSITORY ?? '');
  if (path === null) return null;
  const workflows = await readWorkflows(path, search.read);
  if (workflows === null) return null;
  const steps = workflows.flatMap((workflow) => findSteps(workflow, search));
  const [step, another] = steps.filter((candidate) => isConsistent(candidate, inputs));
  return step !== undefined && another === undefined ? step : null;
}

/** The path in `owner/repository/path@ref`; null where the workflow is another repository's. */
function readPath(workflowRef: string, repository: string): string | null {
  const prefix = `${repository}/`.toLowerCase();
  if (repository === '' || !workflowRef.toLowerCase().startsWith(prefix)) return null;
  return (
    /^(\.github\/workflows\/[^/]+\.ya?ml)@/.exec(workflowRef.slice(prefix.length))?.[1] ?? null
  );
}

/**
 * The workflow and all it calls, as the runner does not say which of them a job is from. Null where one of
 * them cannot be read: the job could be there.
 */
async function readWorkflows(
  entry: string,
  read: (path: string) => Promise<string | null>,
): Promise<readonly Workflow[] | null> {
  // Loaded here alone: it is large, and most runs have no problem to show.
  const yaml = await import('yaml');
  const workflows = new Map<string, Workflow>();
  const paths = [entry];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    if (workflows.has(path)) continue;
    const text = await read(path);
    if (text === null) return null;
    const lines = new yaml.LineCounter();
    const document = yaml.parseDocument(text, { lineCounter: lines });
    if (document.errors.length > 0) return null;
    const workflow = { path, document, lines, yaml };
    workflows.set(path, workflow);
    for (const job of listJobs(workflow)) {
      const uses = findPair(workflow, job.value, 'uses');
      if (uses === null) continue;
      const called = /^\.\/(\.github\/workflows\/[^/@]+)$/.exec(
        readText(workflow, uses) ?? '',
      )?.[1];
      if (called === undefined) return null;
      paths.push(called);
    }
  }
  return [...workflows.values()];
}

function listJobs(workflow: Workflow): readonly Pair[] {
  return listPairs(workflow, findPair(workflow, workflow.document.contents, 'jobs')?.value);
}

/** The steps in a workflow that may be the one that runs. */
function findSteps(workflow: Workflow, { env }: StepSearch): Step[] {
  const job = listJobs(workflow).find((pair) => readKey(workflow, pair) === env.GITHUB_JOB);
  const list = resolveNode(workflow, findPair(workflow, job?.value, 'steps')?.value);
  if (!workflow.yaml.isSeq(list)) return [];
  // The steps in such a block have names of their own, which may be those of the others.
  if (list.items.some((item) => findPair(workflow, item, 'parallel') !== null)) return [];
  const names = nameSteps(workflow, list);
  return list.items.flatMap((item, index) => {
    const uses = findPair(workflow, item, 'uses');
    if (uses === null || names[index] !== env.GITHUB_ACTION) return [];
    if (!isAction(readText(workflow, uses) ?? '', env.GITHUB_ACTION_REPOSITORY ?? '')) return [];
    const given = listPairs(workflow, findPair(workflow, item, 'with')?.value).map(
      (pair) => [readKey(workflow, pair).toLowerCase(), pair as Pair<Scalar>] as const,
    );
    return [{ workflow, uses: uses as Pair<Scalar>, given: new Map(given) }];
  });
}

const NAME_LENGTH = 100;

/** GITHUB_ACTION of each step, made as GitHub makes them (actions/languageservices, `createActionStepId`). */
function nameSteps(workflow: Workflow, list: YAMLSeq): string[] {
  const read = (item: unknown, key: string): string => {
    const pair = findPair(workflow, item, key);
    return pair === null ? '' : (readText(workflow, pair) ?? '');
  };
  const taken = new Set(list.items.map((item) => read(item, 'id').toLowerCase()));
  return list.items.map((item) => {
    const id = read(item, 'id');
    if (id !== '') return id;
    const original = `__${nameAction(read(item, 'uses'))}`.replaceAll(/[^A-Za-z0-9_-]/g, '_');
    for (let attempt = 1; ; attempt++) {
      const suffix = attempt === 1 ? '' : `_${attempt}`;
      const name = original.slice(0, NAME_LENGTH - suffix.length) + suffix;
      if (taken.has(name.toLowerCase())) continue;
      taken.add(name.toLowerCase());
      return name;
    }
  });
}

function nameAction(uses: string): string {
  if (/^\.[/\\]/.test(uses)) return 'self';
  if (uses.startsWith('docker://')) return uses.slice('docker://'.length);
  return /^([^/@]+\/[^/@]+)(?:\/[^@]*)?@[^@]+$/.exec(uses)?.[1] ?? 'run';
}

/** Whether `uses` names the action that runs; `repository` is empty for one of the workflow's own repository. */
function isAction(uses: string, repository: string): boolean {
  if (repository === '') return uses.startsWith('./');
  return nameAction(uses).toLowerCase() === repository.toLowerCase();
}

/** Whether all that the step says in plain words is what arrived: else the file is another one than what ran. */
function isConsistent({ workflow, given }: Step, inputs: StepSearch['inputs']): boolean {
  return [...given].every(([name, pair]) => {
    const text = readText(workflow, pair);
    return text !== null && (text.includes('${{') || text.trim() === (inputs[name] ?? text.trim()));
  });
}

function findPlace(
  problem: string,
  { step, inputs }: { step: Step; inputs: StepSearch['inputs'] },
): SourceLocation {
  const match = /^([a-z][a-z0-9-]*)(?:\.\w+)?: (?:line (\d+): )?/.exec(problem);
  const name = match?.[1] ?? '';
  const input = inputs[name];
  if (input === undefined) return {};
  const { workflow, uses, given } = step;
  const pair = given.get(name);
  const line = match?.[2]
    ? Number(match[2])
    : name === 'settings'
      ? findLine(problem, input)
      : null;
  const inner = pair && line !== null && findInnerLine(pair, { step, input, line });
  const offset = (pair ?? uses).key.range?.[0];
  if (offset === undefined) return {};
  return {
    file: workflow.path,
    startLine: inner || workflow.lines.linePos(offset).line,
    title: `Input ${name}`,
  };
}

/** The line of the setting that a problem is about, in the text of the input. */
function findLine(problem: string, input: string): number | null {
  const setting = findSetting(problem);
  return parseSettingLines(input).given.find(({ name }) => name === setting)?.line ?? null;
}

/** The file's line of a line of an input, where the input is a literal block; else null. */
function findInnerLine(
  pair: Pair<Scalar>,
  { step, input, line }: { step: Step; input: string; line: number },
): number | null {
  const { workflow } = step;
  const scalar = resolveNode(workflow, pair.value);
  if (!workflow.yaml.isScalar(scalar) || scalar.type !== 'BLOCK_LITERAL' || !scalar.range)
    return null;
  const text = String(scalar.value);
  const written = text.trim().split('\n');
  const arrived = input.split('\n');
  // What an expression becomes may have lines of its own.
  const isSame = (source: string, index: number) =>
    source.includes('${{') || source === arrived[index];
  if (written.length !== arrived.length || !written.every(isSame)) return null;
  // The runner cuts blank lines off the beginning.
  const cut = text.slice(0, text.length - text.trimStart().length).split('\n').length - 1;
  return workflow.lines.linePos(scalar.range[0]).line + cut + line;
}

function resolveNode({ yaml, document }: Workflow, node: unknown): Node | null {
  if (yaml.isAlias(node)) return node.resolve(document) ?? null;
  return yaml.isNode(node) ? node : null;
}

function listPairs(workflow: Workflow, node: unknown): readonly Pair[] {
  const map = resolveNode(workflow, node);
  return workflow.yaml.isMap(map) ? (map as YAMLMap).items : [];
}

function findPair(workflow: Workflow, node: unknown, key: string): Pair | null {
  return listPairs(workflow, node).find((pair) => readKey(workflow, pair) === key) ?? null;
}

function readKey({ yaml }: Workflow, { key }: Pair): string {
  return yaml.isScalar(key) ? String(key.value) : '';
}

/** A value as the runner makes a string of it; null where it is none. */
function readText(workflow: Workflow, { value }: Pair): string | null {
  if (value === null) return '';
  const node = resolveNode(workflow, value);
  return workflow.yaml.isScalar(node) ? String(node.value ?? '') : null;
}
