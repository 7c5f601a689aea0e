import { COMMANDS, type Command, type Intent } from '../runner/intent.ts';
import { buildInputs, chooseDirectory } from './build-inputs.ts';
import { REPAIR_KEYS, type RepairKey } from './call-schema.ts';
import { checkDescription } from './check-description.ts';
import type { ClusterFile } from './cluster-file.ts';
import type { ClusterKey } from './cluster-schema.ts';
import {
  type Combined,
  combine,
  type Description,
  readFileValues,
  readInputValues,
  readValue,
} from './combine.ts';
import type { Inputs } from './inputs.ts';
import {
  keepMergeRules,
  listDifferingKeys,
  PLAN_USES,
  selectPlanValues,
} from './pull-request-keys.ts';
import { type Bodies, nameBodyKey, readBodies, readRequestInput } from './request-body.ts';
import { createRedactor, listSecretParts, listSecrets } from './secrets.ts';
import { mergeStepInputs, type RawInputs, type StepInputs } from './step-inputs.ts';

/** The cluster file of a run. */
export interface FileInput {
  /** At the commit that the run is for. */
  readonly file: ClusterFile;
  readonly basis: FileOrigin;
}

/** What else is known of a cluster file. */
export type FileOrigin =
  /** Somebody proposes it who may not merge. `standing`: the default branch's; null: that has none. */
  | {
      readonly kind: 'proposed';
      /** Short name of the default branch. */
      readonly branch: string;
      readonly standing: ClusterFile | null;
    }
  /** A merge brought it. `before`: as it was before; null: it was not there. */
  | { readonly kind: 'merged'; readonly before: ClusterFile | null }
  /** It is what the default branch has. */
  | { readonly kind: 'standing' };

/** What tells a cluster's comment apart, as far as it is valid. */
export interface ClusterIdentity {
  readonly name: string;
  /** Of the cluster file; null: the inputs describe the cluster. */
  readonly path: string | null;
  readonly workingDirectory: string;
  /** Null where the inputs do not say it. */
  readonly region: string | null;
  readonly shared: boolean;
  readonly labelPrefix: string | null;
}

/** A request, or every problem found in it. */
export type InputResult =
  | {
      readonly inputs: Inputs;
      readonly problems: readonly [];
      /** What a plan takes from elsewhere than from the pull request, a sentence each. */
      readonly notes: readonly string[];
    }
  | {
      readonly inputs: null;
      readonly problems: readonly string[];
      /** Null where too little of it is valid. */
      readonly cluster: ClusterIdentity | null;
    };

/** The command, or null when it is not one (which `readRequest` reports with all else). */
export function readCommand(inputs: RawInputs): Command | null {
  const command = inputs.command ?? '';
  return (COMMANDS as readonly string[]).includes(command) ? (command as Command) : null;
}

/**
 * Checks all inputs at once, in the light of what the run is for: secrets are asked for only where they
 * are needed. Nothing is written, started or sent.
 */
export function readInputs(
  { step, file }: { step: StepInputs; file: FileInput | null },
  intent: Intent,
): InputResult {
  const values = mergeStepInputs(step);
  const bodies = readBodies(values.request ?? '', intent);
  const { called, callNames } = findRepairValues(values, bodies);
  const call = { ...values, ...called };
  const describe = (described: Description): Combined => describeStep({ step, bodies }, described);
  const whole = describe(file === null ? new Map() : readFileValues(file.file));
  const plan = file === null ? null : selectUsable(file, { whole, describe, step });
  const used = plan?.used ?? whole;

  const path = file?.file.path ?? null;
  // What cannot be read may be just what seems to be missing.
  const isPartial = file !== null && file.file.problems.length > 0;
  const context = { call, callNames, intent, path, isPartial };
  const problems = [
    ...(file?.file.problems ?? []),
    ...bodies.request.problems,
    ...bodies.event.problems,
    ...(plan?.problems ?? []),
    ...checkDescription(whole, context),
  ];
  // What another version of the file has wrong is worth saying where this one is right.
  if (problems.length === 0 && plan !== null) {
    const wrong = checkDescription(used, { ...context, path: plan.path });
    problems.push(...wrong.map((problem) => `${problem}${plan.remark}`));
  }
  if (problems.length > 0) {
    const redact = createRedactor([
      ...listSecrets(values),
      ...(file?.file.secrets ?? []).flatMap(listSecretParts),
    ]);
    return {
      inputs: null,
      problems: problems.map(redact),
      // Also a path that is not allowed names a file, and its cluster is not the one that is named by default.
      cluster: buildIdentity(used.description, path ?? (values['cluster-file'] || null)),
    };
  }
  return {
    problems: [],
    notes: plan?.notes ?? [],
    inputs: buildInputs(used.description, { call, path, blank: plan?.blank ?? false }),
  };
}

/** What a failover or a replacement is to do, from the place that wins, and how messages name it there. */
function findRepairValues(
  values: RawInputs,
  { request, event }: Bodies,
): { called: Record<RepairKey, string>; callNames: Record<RepairKey, string> } {
  const bodies = [
    { body: 'client_payload', values: event.values },
    { body: 'request', values: request.values },
  ] as const;
  const found = REPAIR_KEYS.map((key) => {
    const [first] = bodies.flatMap(({ body, values: given }) =>
      given[key] === undefined ? [] : [{ text: given[key], name: nameBodyKey(body, key) }],
    );
    return [key, first ?? { text: values[key] ?? '', name: key }] as const;
  });
  const pick = (part: 'text' | 'name') =>
    Object.fromEntries(found.map(([key, one]) => [key, one[part]])) as Record<RepairKey, string>;
  return { called: pick('text'), callNames: pick('name') };
}

/** What the step, its bodies and a file (`described`) come to together. */
function describeStep(
  { step, bodies }: { step: StepInputs; bodies: Bodies },
  described: Description,
): Combined {
  const nameIn = (body: 'client_payload' | 'request') => (input: string) =>
    nameBodyKey(body, input);
  const name = (input: string) => input;
  return combine(
    [
      readInputValues(bodies.event.values, { source: 'event', name: nameIn('client_payload') }),
      described,
      readInputValues(bodies.request.values, { source: 'request', name: nameIn('request') }),
      readInputValues(step.given, { source: 'step', name }),
    ],
    readInputValues(step.defaults, { source: 'default', name }),
  );
}

/** What is known of a cluster before anything of a pull request is read. */
interface Trusted {
  readonly step: StepInputs;
  /** The default branch's. */
  readonly file: ClusterFile | null;
  /** Where the file is, or would be; null: the step names none. */
  readonly path: string | null;
}

/** What tells the comment of a cluster apart, from the step and the default branch's file alone. */
export function readClusterIdentity(trusted: Trusted): ClusterIdentity | null {
  return buildIdentity(describeTrusted(trusted), trusted.path);
}

/** The label that asks for the plan of a fork's pull request, from the same; null: none does. */
export function readPlanLabel(trusted: Trusted): string | null {
  return readValue(describeTrusted(trusted), 'allow_plan_label') || null;
}

function describeTrusted({ step, file }: Trusted): Description {
  const request = readRequestInput(mergeStepInputs(step).request ?? '');
  const bodies = { request, event: { values: {}, problems: [] } };
  return describeStep({ step, bodies }, file === null ? new Map() : readFileValues(file))
    .description;
}

/** What a run may use of its file, and what it is told about the rest. */
interface UsableDescription {
  readonly used: Combined;
  /** How messages name the file that decides. */
  readonly path: string;
  /** What a message about it ends with. */
  readonly remark: string;
  /** Whether an empty state stands for the backend. */
  readonly blank: boolean;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

function selectUsable(
  { file, basis }: FileInput,
  {
    whole,
    describe,
    step,
  }: { whole: Combined; describe: (described: Description) => Combined; step: StepInputs },
): UsableDescription | null {
  const { path } = file;
  switch (basis.kind) {
    case 'standing':
      return null;
    case 'merged': {
      const before = describe(basis.before === null ? new Map() : readFileValues(basis.before));
      const description = keepMergeRules(whole.description, before.description);
      const kept = listDifferingKeys(whole.description, description);
      const notes =
        kept.length === 0
          ? []
          : [
              `${path}: ${kept.join(', ')} ${kept.length === 1 ? 'counts' : 'count'} from the next merge on. A merge goes by the rules that stood before it.`,
            ];
      return {
        used: { ...whole, description },
        path,
        remark: '',
        blank: false,
        problems: [],
        notes,
      };
    }
    case 'proposed': {
      const { branch, standing } = basis;
      const blank = standing === null && !('backend' in step.given);
      const held = selectPlanValues(readFileValues(file), {
        standing: standing && readFileValues({ ...standing, path: `${path} on ${branch}` }),
        blank,
      });
      const used = describe(held);
      // An empty state stands for these.
      const other = listDifferingKeys(whole.description, used.description).filter(
        (key) => !(blank && PLAN_USES[key] === 'state'),
      );
      const [problem] = standing?.problems ?? [];
      return {
        used,
        path: standing === null ? path : `${path} on ${branch}`,
        remark:
          standing === null
            ? ''
            : ` It counts from ${branch} until this is merged. If this corrects it, merge it: the next pull request is planned.`,
        blank,
        problems:
          problem === undefined
            ? []
            : [
                `${path} on ${branch} cannot be read, so it does not say what a plan must not take from the pull request (${problem.slice(path.length + 1)}). Correct it on ${branch} first.`,
              ],
        notes: explainUnused({ path, branch, isNew: standing === null, blank, other }),
      };
    }
  }
}

/** What a plan says of the values that it did not take from the pull request. */
function explainUnused(held: {
  path: string;
  branch: string;
  isNew: boolean;
  blank: boolean;
  other: readonly ClusterKey[];
}): string[] {
  const { path, branch, isNew, blank, other } = held;
  const names = other.join(', ');
  const have = other.length === 1 ? 'has its value' : 'have their values';
  return [
    ...(blank
      ? [
          `${path} is new: ${branch} has no such file. The plan is one of a new cluster. No backend was asked; the merge asks the one that the file names, and stops if it finds anything there.`,
        ]
      : []),
    ...(other.length === 0
      ? []
      : [
          isNew
            ? `${names} of ${path} will count once the file is merged. The plan was made without.`
            : `${names} ${have} from ${branch} in this plan, not from the pull request, since a plan may not reach or do what only a pull request says. The merge uses the new ${other.length === 1 ? 'value' : 'values'}. If its plan is another one then, it stops before anything changes.`,
        ]),
  ];
}

/** What of a description tells the cluster's comment apart. */
function buildIdentity(description: Description, path: string | null): ClusterIdentity | null {
  const name = readValue(description, 'cluster_name');
  const comment = readValue(description, 'comment');
  const folder = description.get('working_directory');
  const directory = folder === undefined ? '' : readValue(description, 'working_directory');
  if (name === null || comment === null || directory === null) return null;
  // A file that does not say its cluster's name is not of the cluster that is named by default.
  if (path !== null && description.get('cluster_name')?.source === 'default') return null;
  return {
    name,
    path,
    workingDirectory: chooseDirectory(directory, name),
    region: readValue(description, 'region'),
    shared: comment === 'shared',
    labelPrefix: readValue(description, 'label_prefix') || null,
  };
}
