import { COMMANDS, type Command, type Intent } from '../intent.ts';
import { checkDescription } from './checks.ts';
import type { ClusterFile } from './cluster-file.ts';
import {
  type Combined,
  combine,
  type Description,
  giveFile,
  giveInputs,
  readValue,
} from './given.ts';
import { holdBack } from './held-keys.ts';
import { chooseDirectory, makeRequest } from './make-request.ts';
import type { Request } from './request.ts';
import { nameBodyKey, readBodies } from './request-body.ts';
import { createRedactor, listSecrets } from './secrets.ts';
import { listValues, type RawInputs, type StepInputs } from './step.ts';

/** The cluster file of a run. */
export interface FileInput {
  /** At the commit that the run is for. */
  readonly file: ClusterFile;
  /** Of a pull request, whose values somebody else wrote; null: nobody but who may merge did. */
  readonly proposal: {
    /** Short name of the default branch. */
    readonly branch: string;
    /** The file there; null where there is none. */
    readonly standing: ClusterFile | null;
  } | null;
}

/** What tells a cluster's comment apart, as far as it is valid. */
export interface ClusterLabel {
  readonly name: string;
  readonly workingDirectory: string;
  /** Null where the inputs do not say it. */
  readonly region: string | null;
  readonly shared: boolean;
  readonly labelPrefix: string | null;
}

/** A request, or every problem found in it. */
export type InputResult =
  | {
      readonly request: Request;
      readonly problems: readonly [];
      /** What a plan takes from elsewhere than from the pull request, a sentence each. */
      readonly notes: readonly string[];
    }
  | {
      readonly request: null;
      readonly problems: readonly string[];
      /** Null where too little of it is valid. */
      readonly cluster: ClusterLabel | null;
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
export function readRequest(
  { step, file }: { step: StepInputs; file: FileInput | null },
  intent: Intent,
): InputResult {
  const values = listValues(step);
  const bodies = readBodies(values.request ?? '', intent);
  const fenced = bodies.event.values.fenced ?? bodies.request.values.fenced ?? values.fenced ?? '';
  const call = { ...values, fenced };
  const places = {
    event: giveInputs(bodies.event.values, {
      source: 'event',
      name: (input) => nameBodyKey('client_payload', input),
    }),
    request: giveInputs(bodies.request.values, {
      source: 'request',
      name: (input) => nameBodyKey('request', input),
    }),
    step: giveInputs(step.given, { source: 'step', name: (input) => input }),
    defaults: giveInputs(step.defaults, { source: 'default', name: (input) => input }),
  };
  const describe = (described: Description): Combined =>
    combine([places.event, described, places.request, places.step], withoutEmpty(places.defaults));
  const whole = describe(file === null ? new Map() : giveFile(file.file));
  const plan = file?.proposal ? holdProposal(file, { step: places.step }) : null;
  const used = plan === null ? whole : describe(plan.description);

  const context = { call, intent, path: file?.file.path ?? null };
  const problems = [
    ...(file?.file.problems ?? []),
    ...bodies.request.problems,
    ...bodies.event.problems,
    ...(plan?.problems ?? []),
    ...checkDescription(whole, context),
  ];
  // What the default branch's file has wrong is worth saying where the pull request's own is right.
  if (problems.length === 0 && plan !== null) problems.push(...checkDescription(used, context));
  if (problems.length > 0) {
    const redact = createRedactor([...listSecrets(values), ...(file?.file.secrets ?? [])]);
    return {
      request: null,
      problems: problems.map(redact),
      cluster: labelCluster(used.description),
    };
  }
  return {
    problems: [],
    notes: plan?.notes ?? [],
    request: makeRequest(used.description, { call, blank: plan?.blank ?? false }),
  };
}

/** What tells the comment of a cluster apart, from the step and the default branch's file alone. */
export function readLabel(trusted: {
  step: StepInputs;
  file: ClusterFile | null;
}): ClusterLabel | null {
  return labelCluster(describeTrusted(trusted));
}

/** The label that asks for the plan of a fork's pull request, from the same; null: none does. */
export function readPlanLabel(trusted: {
  step: StepInputs;
  file: ClusterFile | null;
}): string | null {
  return readValue(describeTrusted(trusted), 'allow_plan_label') || null;
}

function describeTrusted({
  step,
  file,
}: {
  step: StepInputs;
  file: ClusterFile | null;
}): Description {
  const places = [
    file === null ? new Map() : giveFile(file),
    giveInputs(step.given, { source: 'step', name: (input) => input }),
  ];
  const defaults = giveInputs(step.defaults, { source: 'default', name: (input) => input });
  return combine(places, withoutEmpty(defaults)).description;
}

/** An empty default says nothing. */
function withoutEmpty(defaults: Description): Description {
  return new Map([...defaults].filter(([, { shown }]) => shown !== null && shown !== '""'));
}

/** What the plan of a pull request may use of its file, and what it is told about the rest. */
interface Proposal {
  readonly description: Description;
  readonly blank: boolean;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

function holdProposal(
  { file, proposal }: FileInput,
  { step }: { step: Description },
): Proposal | null {
  if (proposal === null) return null;
  const { branch, standing } = proposal;
  const { path } = file;
  const blank = standing === null && !step.has('backend');
  const { description, held } = holdBack(giveFile(file), {
    standing: standing && giveFile({ ...standing, path: `${path} on ${branch}` }),
    blank,
  });
  const problems = (standing?.problems ?? [])
    .slice(0, 1)
    .map(
      (problem) =>
        `${path} on ${branch} cannot be read, so it does not say what a plan must not take from the pull request (${problem.slice(path.length)}). Correct it on ${branch} first.`,
    );
  const notes = [
    ...(blank
      ? [
          `${path} is new: ${branch} has no such file. The plan is one of a new cluster. No backend was asked; the merge asks the one that the file names, and stops if it finds anything there.`,
        ]
      : []),
    ...(held.length === 0
      ? []
      : [
          `${path} changes ${held.join(', ')}. The plan was made ${standing === null ? 'without that' : `with what ${branch} says`}, since these values decide what a plan may reach and do. The merge uses the new ${held.length === 1 ? 'value' : 'values'}, and stops where its plan is another one then.`,
        ]),
  ];
  return { description, blank, problems, notes };
}

/** What of a description tells the cluster's comment apart. */
function labelCluster(description: Description): ClusterLabel | null {
  const name = readValue(description, 'cluster_name');
  const comment = readValue(description, 'comment');
  const folder = description.get('working_directory');
  const directory = folder === undefined ? '' : readValue(description, 'working_directory');
  if (name === null || comment === null || directory === null) return null;
  return {
    name,
    workingDirectory: chooseDirectory(directory, name),
    region: readValue(description, 'region'),
    shared: comment === 'shared',
    labelPrefix: readValue(description, 'label_prefix') || null,
  };
}
