import { isAllowed, type Request } from './evaluate.ts';
import type { ApiCall } from './front.ts';
import type { Policy } from './statements.ts';

/** Kinds of things in ARNs by the start of their ids. */
const KINDS: { readonly [start: string]: string } = {
  ami: 'image',
  eice: 'instance-connect-endpoint',
  eipalloc: 'elastic-ip',
  i: 'instance',
  igw: 'internet-gateway',
  nat: 'natgateway',
  rtb: 'route-table',
  sg: 'security-group',
  sgr: 'security-group-rule',
  snap: 'snapshot',
  subnet: 'subnet',
  vol: 'volume',
  vpc: 'vpc',
  vpce: 'vpc-endpoint',
};

const DEBIAN = '136693071363';

/** The zone of the contract, whose name is a placeholder in the policies. */
export const ZONE = 'example.internal';

/**
 * Returns the requests that IAM decides on for a recorded write of EC2 or Route 53, from its parameters: one for each thing that they
 * name, and for each thing that they make with tags, two. `cluster` is the cluster's name, and `tag` the tag of the things
 * that the parameters name. Placeholders are those of the policies.
 */
export function listRequests(
  { action, parameters }: ApiCall,
  { cluster, tag = 'CLUSTER' }: { cluster: string; tag?: string },
): Request[] {
  if (action.startsWith('route53:')) return [describeNames(action, parameters, cluster)];
  const region = { 'aws:RequestedRegion': 'REGION' };
  const asTag = (value: string) => (value === cluster ? 'CLUSTER' : value);
  const asked = readTags(parameters, 'Tag').map(([key, value]) => [key, asTag(value)] as const);
  const named = listNamed(action, parameters).map((resource) => ({
    action,
    resource,
    context: {
      ...region,
      ...describeTags(asked),
      ...(resource.includes(':image/')
        ? { 'ec2:Owner': DEBIAN }
        : { 'aws:ResourceTag/Cluster': tag }),
    },
  }));
  const made = listSpecifications(parameters).flatMap(({ kind, tags }) => {
    const resource = locate(kind, 'new');
    const own = tags.map(([key, value]) => [key, asTag(value)] as const);
    const context = { ...region, ...describeTags(own) };
    const createAction = action.replace('ec2:', '');
    return [
      { action, resource, context },
      {
        action: 'ec2:CreateTags',
        resource,
        context: { ...context, 'ec2:CreateAction': createAction },
      },
    ];
  });
  return [...named, ...made];
}

/** What decides on the recorded writes. */
interface WriteOptions {
  readonly policies: readonly Policy[];
  /** The name in the tags of the calls. */
  readonly cluster: string;
}

const isWrite = ({ action }: ApiCall) => /^ec2:(?!Describe|Get)|^route53:(?!List|Get)/.test(action);

/** Returns what the policies refuse of the recorded writes of EC2 and Route 53, as `ec2:CreateSubnet vpc`. */
export function listRefusedWrites(
  calls: readonly ApiCall[],
  { policies, cluster }: WriteOptions,
): string[] {
  const refused = calls
    .filter(isWrite)
    .flatMap((call) => listRequests(call, { cluster }))
    .filter((request) => !isAllowed(policies, request))
    .map(({ action, resource }) => `${action} ${/([a-z-]+)\/[^/]*$/.exec(resource)?.[1]}`);
  return [...new Set(refused)].sort();
}

/** Returns the actions of the recorded writes that the policies would allow in another cluster too. */
export function listOpenWrites(calls: readonly ApiCall[], policies: readonly Policy[]): string[] {
  const open = calls.filter(isWrite).filter((call) => {
    const requests = listRequests(call, { cluster: '', tag: 'OTHER' });
    return requests.every((request) => isAllowed(policies, request));
  });
  return [...new Set(open.map(({ action }) => action))].sort();
}

function locate(kind: string, id: string): string {
  // Images and snapshots have no account in their ARN.
  const account = kind === 'image' || kind === 'snapshot' ? '' : 'ACCOUNT';
  return `arn:aws:ec2:REGION:${account}:${kind}/${id}`;
}

/** A change of names in the zone (Amazon Route 53 Developer Guide, "Using IAM policy conditions"). */
function describeNames(action: string, parameters: URLSearchParams, cluster: string): Request {
  // IAM sees them in lower case and without the last dot.
  const names = parameters
    .getAll('Name')
    .map((name) => name.toLowerCase().replace(/\.$/, ''))
    .map((name) => name.replace(`.${cluster}.${ZONE}`, '.CLUSTER.ZONE-NAME'));
  return {
    action,
    resource: 'arn:aws:route53:::hostedzone/ZONE-ID',
    context: {
      'route53:ChangeResourceRecordSetsNormalizedRecordNames': names,
      'route53:ChangeResourceRecordSetsRecordTypes': parameters.getAll('Type'),
    },
  };
}

/** The ARNs of the things that the parameters name. */
function listNamed(action: string, parameters: URLSearchParams): string[] {
  const found = [...parameters].flatMap(([name, value]) => {
    // A new key pair has a name that no existing one has.
    if (name === 'KeyName' && action !== 'ec2:ImportKeyPair') return [locate('key-pair', value)];
    const kind = KINDS[/^([a-z]+)-[0-9a-f]{8,17}$/.exec(value)?.[1] ?? ''];
    return kind === undefined ? [] : [locate(kind, value)];
  });
  return [...new Set(found)];
}

type Tag = readonly [key: string, value: string];

function readTags(parameters: URLSearchParams, start: string): Tag[] {
  return [...parameters].flatMap(([name, value]) => {
    const number = name.startsWith(`${start}.`)
      ? /^\.(\d+)\.Key$/.exec(name.slice(start.length))?.[1]
      : undefined;
    return number === undefined
      ? []
      : [[value, parameters.get(`${start}.${number}.Value`) ?? ''] as const];
  });
}

function listSpecifications(parameters: URLSearchParams): { kind: string; tags: Tag[] }[] {
  return [...parameters].flatMap(([name, kind]) => {
    const start = /^(TagSpecification\.\d+)\.ResourceType$/.exec(name)?.[1];
    return start === undefined ? [] : [{ kind, tags: readTags(parameters, `${start}.Tag`) }];
  });
}

function describeTags(tags: readonly Tag[]): Record<string, string | readonly string[]> {
  if (tags.length === 0) return {};
  return {
    ...Object.fromEntries(tags.map(([key, value]) => [`aws:RequestTag/${key}`, value])),
    'aws:TagKeys': tags.map(([key]) => key),
  };
}
