import { quoteValue } from '../messages/quote-value.ts';
import { type Description, readValue } from './description.ts';
import type { Purpose } from './find-missing.ts';

/** Events with which a person starts one run. All others would remove the cluster by themselves, again and again. */
const REQUESTS: readonly string[] = ['workflow_dispatch', 'repository_dispatch'];

/**
 * Checks that a person asks for the removal of this very cluster, and that data may be destroyed at all. Such a run has no
 * pull request to label. Empty for every other run.
 */
export function checkRemoval(
  description: Description,
  { intent, call, repairNames }: Purpose,
): string[] {
  if (intent.kind !== 'destroy') return [];
  const confirmation = call.destroy ?? '';
  const name = readValue(description, 'cluster_name') ?? '';
  const problems: string[] = [];
  if (!REQUESTS.includes(intent.event)) {
    problems.push(
      `command: "destroy" is not allowed on the event ${intent.event}. Only a person removes a cluster: start a workflow by hand (workflow_dispatch), or send a repository_dispatch of the type destroy.`,
    );
  }
  if (confirmation === '') {
    problems.push(
      `destroy: missing. To destroy the cluster ${name} with all its nodes and volumes, confirm it with its name: destroy: ${name}.`,
    );
  } else if (confirmation !== name) {
    problems.push(
      `${repairNames.destroy ?? 'destroy'}: ${quoteValue(confirmation)} is not the name of this cluster, which is ${name}. Nothing was destroyed. Give the name of the cluster that is to be destroyed, and its cluster file.`,
    );
  }
  if ((readValue(description, 'allow_destroy_label') ?? '') === '') {
    problems.push(
      `command: "destroy" is not allowed. It destroys every data volume of ${name}, and allow-destroy-label is empty, so no volume may be destroyed. Name a label there first.`,
    );
  }
  return problems;
}
