import { nameRehearsal } from '../cluster/rehearsal.ts';
import { checkBackend, type ParsedBackend } from './backend.ts';
import { type Description, readValue } from './description.ts';
import type { Purpose } from './find-missing.ts';
import { explainNoRehearsalState } from './rehearsal-backend.ts';
import { isClusterName, MAX_NAME_LENGTH } from './schema-fields.ts';

/** Checks that the cluster's name and its state leave room for those of its rehearsal. Empty for every other run. */
export function checkRehearsal(description: Description, { intent }: Purpose): string[] {
  if (intent.kind !== 'rehearse') return [];
  return [...checkName(description), ...checkState(description)];
}

function checkName(description: Description): string[] {
  const name = readValue(description, 'cluster_name');
  if (name === null || isClusterName(nameRehearsal(name))) return [];
  const longest = MAX_NAME_LENGTH - nameRehearsal('').length;
  return [
    `command: "rehearse" is not allowed. The rehearsal is a cluster of its own, ${nameRehearsal(name)}, whose name has more than ${MAX_NAME_LENGTH} characters. Only a cluster whose name has at most ${longest} can be rehearsed.`,
  ];
}

function checkState(description: Description): string[] {
  const backend = description.get('backend');
  const type = readValue(description, 'backend');
  if (backend === undefined || type === null) return [];
  const settings = description.get('backend_config');
  const { config, problems } = (settings?.value ?? { config: {}, problems: [] }) as ParsedBackend;
  // What is wrong with the cluster's own state is reported as such.
  if (problems.length > 0 || checkBackend(type, config).length > 0) return [];
  const problem = explainNoRehearsalState({ type, config });
  return problem === null ? [] : [`${backend.name}: ${problem}`];
}
