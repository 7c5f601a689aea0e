import { chooseDirectory } from './build-inputs.ts';
import type { ClusterFile } from './cluster-file.ts';
import { combineSources, readOptionalFile } from './combine.ts';
import { type Description, readValue } from './description.ts';
import { readRequestInput } from './request-body.ts';
import { mergeStepInputs, type StepInputs } from './step-inputs.ts';

/** The valid values that identify a cluster's comment. */
export interface ClusterIdentity {
  readonly name: string;
  /** Of the cluster file; null if the inputs describe the cluster. */
  readonly path: string | null;
  readonly workingDirectory: string;
  /** Null if it is invalid. */
  readonly region: string | null;
  readonly shared: boolean;
  readonly labelPrefix: string | null;
}

/** Sources that are available before anything from a pull request is read. */
interface TrustedSources {
  readonly step: StepInputs;
  /** Of the default branch. */
  readonly file: ClusterFile | null;
  /** Path of the file, which need not exist; null if the step names none. */
  readonly path: string | null;
}

/** Identifies a cluster by the step and the default branch's file alone. */
export function readClusterIdentity(trusted: TrustedSources): ClusterIdentity | null {
  return buildIdentity(describeTrusted(trusted), trusted.path);
}

/** Returns the label that requests the plan of a fork's pull request, from the same sources; null without one. */
export function readPlanLabel(trusted: TrustedSources): string | null {
  return readValue(describeTrusted(trusted), 'allow_plan_label') || null;
}

function describeTrusted({ step, file }: TrustedSources): Description {
  const request = readRequestInput(mergeStepInputs(step).request ?? '');
  const bodies = { request, event: { values: {}, problems: [] } };
  return combineSources({ step, bodies }, readOptionalFile(file)).description;
}

/** Builds the identity of a described cluster; null if too little of it is valid. */
export function buildIdentity(
  description: Description,
  path: string | null,
): ClusterIdentity | null {
  const name = readValue(description, 'cluster_name');
  const comment = readValue(description, 'comment');
  const folder = description.get('working_directory');
  const directory = folder === undefined ? '' : readValue(description, 'working_directory');
  if (name === null || comment === null || directory === null) return null;
  // A file without a cluster name does not belong to the cluster with the default name.
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
