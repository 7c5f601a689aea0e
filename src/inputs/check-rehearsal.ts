import { nameRehearsal } from '../cluster/rehearsal.ts';
import { checkBackend, type ParsedBackend } from './backend.ts';
import { type Description, readValue } from './description.ts';
import type { Purpose } from './find-missing.ts';
import { chooseSshVia } from './network-inputs.ts';
import { explainNoRehearsalState } from './rehearsal-backend.ts';
import { isClusterName, MAX_NAME_LENGTH } from './schema-fields.ts';

/**
 * Checks that the cluster's name and its state leave room for those of its rehearsal, and that the nodes of one can be reached.
 * Empty for every other run.
 */
export function checkRehearsal(description: Description, { intent }: Purpose): string[] {
  if (intent.kind !== 'rehearse') return [];
  return [...checkName(description), ...checkState(description), ...checkReach(description)];
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

/** A rehearsal beside the cluster shares its VPC; with a VPC of the cluster's own, it has another one. */
function checkReach(description: Description): string[] {
  const subnets = description.get('subnet_ids');
  const isShared = (readValue(description, 'subnet_ids') ?? []).length > 0;
  if (chooseSshVia(description) === 'instance-connect-endpoint') {
    return isShared && (readValue(description, 'instance_connect_endpoint_id') ?? '') === ''
      ? [
          `${subnets?.name}: the endpoint that this cluster has made is the only one that the VPC can have, and leads to the cluster's own nodes. A rehearsal in the same subnets cannot be reached. Only a cluster with ssh-via: direct, or with an endpoint that the VPC had before (instance-connect-endpoint-id), can be rehearsed there.`,
        ]
      : [];
  }
  return !isShared && readValue(description, 'ssh_address') === 'private'
    ? [
        `${description.get('ssh_address')?.name}: a rehearsal has a VPC of its own for as long as it takes, which a runner inside the cluster's network does not reach. Set ssh-via to instance-connect-endpoint, or give subnet-ids.`,
      ]
    : [];
}
