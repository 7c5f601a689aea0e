import type { ClusterSpec } from '../cluster/spec.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { type Description, readValue } from './description.ts';

/**
 * Returns how the runner reaches the nodes. Without `ssh_via`, networks in `ssh_cidrs` mean a direct connection, as
 * they did before there were endpoints: an existing cluster keeps what it has.
 */
export function chooseSshVia(description: Description): ClusterSpec['ssh']['via'] {
  const given = readValue(description, 'ssh_via');
  if (given !== null) return given;
  const networks = readValue(description, 'ssh_cidrs') ?? [];
  return networks.length > 0 ? 'direct' : 'instance-connect-endpoint';
}

/** Checks values of the way to the nodes that depend on each other. */
export function checkAccess(description: Description): string[] {
  return chooseSshVia(description) === 'direct'
    ? [...checkDirect(description), ...checkZones(description)]
    : [...checkEndpoint(description), ...checkZones(description)];
}

function checkDirect(description: Description): string[] {
  const reason = description.has('ssh_via')
    ? 'ssh-via is direct'
    : 'ssh-cidrs is given without ssh-via, so the connections are direct';
  const endpoint = description.get('instance_connect_endpoint_id');
  const isPrivate =
    readValue(description, 'internet_via') === 'nat-gateway' &&
    (readValue(description, 'subnet_ids') ?? []).length === 0;
  return [
    ...(endpoint === undefined || isEmpty(endpoint.value)
      ? []
      : [
          `${endpoint.name}: ${endpoint.shown} is not allowed, because ${reason}. Set ssh-via to instance-connect-endpoint, or leave the endpoint out.`,
        ]),
    ...(isPrivate && readValue(description, 'ssh_address') !== 'private'
      ? [
          `${description.get('internet_via')?.name}: nat-gateway gives the nodes no public addresses, and ${reason}. Set ssh-via to instance-connect-endpoint, or ssh-address to private for a runner inside the network.`,
        ]
      : []),
  ];
}

function checkEndpoint(description: Description): string[] {
  if (readValue(description, 'ssh_address') !== 'public') return [];
  return [
    `${description.get('ssh_address')?.name}: public is not allowed. An EC2 Instance Connect Endpoint connects to private addresses. Leave it out, or set ssh-via to direct.`,
  ];
}

/** A zone of another region excludes nothing, so it is a mistake. */
function checkZones(description: Description): string[] {
  const region = readValue(description, 'region');
  const zones = readValue(description, 'avoid_zones') ?? [];
  if (region === null) return [];
  return zones
    .filter((zone) => zone.slice(0, -1) !== region)
    .map(
      (zone) =>
        `${description.get('avoid_zones')?.name}: ${quoteValue(zone)} is not allowed. It is no zone of ${region} (region). Give one of those, e.g. ${region}a.`,
    );
}

const isEmpty = (value: unknown): boolean => value === '' || value === null;
