import type { TopologyChange } from '../cluster/rollout/topology.ts';
import { majorOfTag, splitReference } from '../cluster/spec.ts';
import { listSome } from '../messages/list-some.ts';
import type { PlanSummary, ResourceChange } from '../terraform/plan.ts';
import { type BackupReport, renderBackupPolicy } from './backups.ts';
import { fixed, type Section } from './budget.ts';
import { isNewCluster } from './changes.ts';
import { renderDocs } from './docs.ts';
import type { RunInfo } from './footer.ts';
import { countNoun, renderCode, renderTable, shortenText } from './markdown.ts';
import { renderSnapshotPolicy } from './snapshots.ts';

/** Networks or names that a cell lists. */
const MAX_NAMES = 4;

/**
 * Renders what a first deploy makes and what of it costs money, as a table of two columns that a phone shows; '' for a
 * change of an existing cluster. Everything is read from the plan: what it does not show is not said.
 */
export function renderOverview(
  plan: PlanSummary,
  {
    topology,
    run,
    backups,
  }: { topology: readonly TopologyChange[]; run: RunInfo; backups: BackupReport | null },
): Section {
  if (!isNewCluster(plan) || topology.length === 0) return fixed('');
  const made = new Plan(plan);
  const rows = [
    ['Nodes', describeNodes(topology)],
    ['Disks', describeDisks(made)],
    ['Clients', describeClients(made)],
    ['Runner', describeRunner(made)],
    ['Network', describeNetwork(made)],
    ...describeNames(made),
    ...(backups === null ? [] : [['Backups', describeBackups(backups, run)]]),
    ...(backups?.snapshots ? [['Snapshots', renderSnapshotPolicy(backups.snapshots)]] : []),
    ['**Costs**', describeCosts(made, run)],
  ];
  return fixed(renderTable(['PostgreSQL', describeImage(topology)], rows, { left: true }));
}

/** The objects that a plan creates. */
class Plan {
  readonly #created: readonly ResourceChange[];

  constructor({ resources }: PlanSummary) {
    this.#created = resources.filter(({ action }) => action === 'create');
  }

  list(type: string, name?: string): readonly ResourceChange[] {
    return this.#created.filter(
      (one) => one.type === type && (name === undefined || one.name === name),
    );
  }

  has(type: string): boolean {
    return this.list(type).length > 0;
  }
}

/** Returns an attribute of a new object; null if it is known only later. */
function read({ attributes }: ResourceChange, name: string): unknown {
  const value = attributes.find(({ path }) => path === name)?.after;
  return value?.kind === 'known' ? value.value : null;
}

function describeImage(topology: readonly TopologyChange[]): string {
  const image = topology[0]?.after?.image ?? null;
  if (image === null) return 'not known';
  const major = majorOfTag(splitReference(image).tag);
  const code = renderCode(shortenText(image, 200));
  return major === null ? code : `${major} (${code})`;
}

function describeNodes(topology: readonly TopologyChange[]): string {
  const types = unique(topology.map(({ after }) => after?.instanceType ?? 'not known'));
  const zones = unique(topology.map(({ after }) => after?.zone ?? 'not known'));
  const replicas = topology.filter(({ after }) => after?.role === 'replica').length;
  const roles = `1 primary, ${countNoun(replicas, 'replica')}`;
  return `${topology.length} × ${listCodes(types)}: ${roles}, in ${countNoun(zones.length, 'zone')}`;
}

function describeDisks(made: Plan): string {
  const [volume] = made.list('aws_ebs_volume', 'data');
  const [instance] = made.list('aws_instance', 'node');
  const data = volume === undefined ? null : read(volume, 'size');
  const root = instance === undefined ? null : read(instance, 'root_block_device[0].volume_size');
  const encrypted = volume !== undefined && read(volume, 'encrypted') === true;
  const type = volume === undefined ? null : read(volume, 'type');
  const sizes = [
    ...(typeof data === 'number' ? [`${data} GiB data`] : []),
    ...(typeof root === 'number' ? [`${root} GiB root`] : []),
  ].join(' + ');
  return [
    `per node ${sizes}`,
    ...(type === 'gp3' ? ['gp3'] : []),
    ...(encrypted ? ['encrypted'] : []),
  ].join(', ');
}

function describeClients(made: Plan): string {
  const networks = listNetworks(made, 'clients');
  return networks.length === 0
    ? '**nobody**: `client-cidrs` names no network'
    : `port 5432 from ${listCodes(networks)}`;
}

function describeRunner(made: Plan): string {
  const networks = listNetworks(made, 'ssh');
  if (networks.length > 0) return `SSH, port 22 from ${listCodes(networks)}`;
  return made.has('aws_ec2_instance_connect_endpoint')
    ? 'SSH through an EC2 Instance Connect Endpoint (new, takes minutes); no open port'
    : 'SSH through the EC2 Instance Connect Endpoint of the VPC; no open port';
}

function describeNetwork(made: Plan): string {
  const [vpc] = made.list('aws_vpc');
  if (vpc === undefined) return 'the subnets of `subnet-ids`';
  const own = `own VPC ${renderCode(String(read(vpc, 'cidr_block') ?? 'not known'))}`;
  return made.has('aws_nat_gateway')
    ? `${own}, private addresses; the internet through a NAT gateway`
    : `${own}, a public address per node`;
}

/** Shows the first name: the others follow from it. */
function describeNames(made: Plan): string[][] {
  const records = made.list('aws_route53_record');
  const [first] = records.map((record) => read(record, 'name'));
  return typeof first === 'string'
    ? [['Names', `${renderCode(shortenText(first, 200))}${records.length > 1 ? ', …' : ''}`]]
    : [];
}

function describeBackups({ cluster, desired }: BackupReport, run: RunInfo): string {
  if (desired !== null) return renderBackupPolicy({ cluster, desired });
  const link = renderDocs('Back up and restore', run, 'backups');
  return `none${link === '' ? '' : `. ${link}`}`;
}

/** Names what AWS charges for, without prices, which would be out of date. */
function describeCosts(made: Plan, run: RunInfo): string {
  const instances = made.list('aws_instance', 'node');
  const volumes = made.list('aws_ebs_volume', 'data');
  const gibibytes = [
    ...volumes.map((volume) => read(volume, 'size')),
    ...instances.map((instance) => read(instance, 'root_block_device[0].volume_size')),
  ].reduce<number>((sum, size) => sum + (typeof size === 'number' ? size : 0), 0);
  const isPublic = made.has('aws_vpc') && !made.has('aws_nat_gateway');
  const addresses = (isPublic ? instances.length : 0) + made.list('aws_eip').length;
  const gateways = made.list('aws_nat_gateway').length;
  const items = [
    countNoun(instances.length, 'instance'),
    `${countNoun(volumes.length + instances.length, 'volume')} (${gibibytes} GiB)`,
    ...(gateways === 0 ? [] : [`${countNoun(gateways, 'NAT gateway')} and its traffic`]),
    ...(addresses === 0 ? [] : [`${addresses} public IPv4 address${addresses === 1 ? '' : 'es'}`]),
    ...(made.has('aws_dlm_lifecycle_policy') ? ['the daily snapshots'] : []),
    'traffic between zones',
  ];
  const free = made.has('aws_ec2_instance_connect_endpoint') ? ' The endpoint is free.' : '';
  const prices = renderDocs('Prices', run, 'costs');
  return `${items.join(', ')}; later the snapshots of removed nodes.${free}${prices === '' ? '' : ` ${prices}`}`;
}

function listNetworks(made: Plan, name: 'ssh' | 'clients'): string[] {
  return made
    .list('aws_vpc_security_group_ingress_rule', name)
    .map((rule) => read(rule, 'cidr_ipv4'))
    .filter((network) => typeof network === 'string');
}

const unique = (texts: readonly string[]): string[] => [...new Set(texts)];
const listCodes = (texts: readonly string[]): string =>
  listSome(
    texts.map((text) => renderCode(shortenText(text, 100))),
    MAX_NAMES,
  );
