import type { ApiCall } from './front.ts';

/** What the provider calls, by role: action names as in `ec2:RunInstances`, sorted. */
export interface Calls {
  /** While it plans. */
  readonly plan: readonly string[];
  /** While it applies. */
  readonly deploy: readonly string[];
}

/** A statement of an IAM policy (IAM User Guide, "IAM JSON policy elements reference"). */
interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: {
    readonly [operator: string]: { readonly [key: string]: string | string[] };
  };
}

export interface Policy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

/** Everybody may call it. */
const FREE = ['sts:GetCallerIdentity'];

/** Calls that may be refused: the provider goes on without the answer. The front of moto refuses them. */
export const REFUSED = ['ec2:GetInstanceUefiData'];

/** Calls of the product itself: it asks how far a volume's growth is. */
const UNSEEN: Calls = {
  plan: ['ec2:DescribeVolumesModifications'],
  deploy: ['ec2:DescribeVolumesModifications'],
};

const OWN = { 'aws:ResourceTag/Cluster': 'CLUSTER' };
const MARKED = { 'aws:RequestTag/Cluster': 'CLUSTER' };
const DEBIAN = '136693071363';

function locate(...kinds: string[]): string[] {
  return kinds.map((kind) => `arn:aws:ec2:REGION:ACCOUNT:${kind}/*`);
}

/** What a call makes, if EC2 authorises it on the new thing by the request's tags. */
const MADE: { readonly [action: string]: string } = {
  'ec2:AuthorizeSecurityGroupEgress': 'security-group-rule',
  'ec2:AuthorizeSecurityGroupIngress': 'security-group-rule',
  'ec2:CreateInternetGateway': 'internet-gateway',
  'ec2:CreateRouteTable': 'route-table',
  'ec2:CreateSecurityGroup': 'security-group',
  'ec2:CreateSnapshot': 'snapshot',
  'ec2:CreateSubnet': 'subnet',
  'ec2:CreateVolume': 'volume',
  'ec2:CreateVpc': 'vpc',
  'ec2:ImportKeyPair': 'key-pair',
};

/** What a call changes or removes, or builds on; EC2 authorises it by the thing's tags. */
const CHANGED: { readonly [action: string]: readonly string[] } = {
  'ec2:AssociateRouteTable': ['route-table', 'subnet'],
  'ec2:AttachInternetGateway': ['internet-gateway', 'vpc'],
  'ec2:AttachVolume': ['instance', 'volume'],
  'ec2:AuthorizeSecurityGroupEgress': ['security-group'],
  'ec2:AuthorizeSecurityGroupIngress': ['security-group'],
  'ec2:CreateRoute': ['route-table'],
  'ec2:CreateRouteTable': ['vpc'],
  'ec2:CreateSecurityGroup': ['vpc'],
  'ec2:CreateSnapshot': ['volume'],
  'ec2:CreateSubnet': ['vpc'],
  'ec2:DeleteInternetGateway': ['internet-gateway'],
  'ec2:DeleteKeyPair': ['key-pair'],
  'ec2:DeleteRoute': ['route-table'],
  'ec2:DeleteRouteTable': ['route-table'],
  'ec2:DeleteSecurityGroup': ['security-group'],
  'ec2:DeleteSubnet': ['subnet'],
  'ec2:DeleteVolume': ['volume'],
  'ec2:DeleteVpc': ['vpc'],
  'ec2:DetachInternetGateway': ['internet-gateway', 'vpc'],
  'ec2:DetachVolume': ['instance', 'volume'],
  'ec2:DisassociateRouteTable': ['route-table', 'subnet'],
  'ec2:ModifyInstanceAttribute': ['instance'],
  'ec2:ModifyInstanceMetadataOptions': ['instance'],
  'ec2:ModifySecurityGroupRules': ['security-group', 'security-group-rule'],
  'ec2:ModifySubnetAttribute': ['subnet'],
  'ec2:ModifyVolume': ['volume'],
  'ec2:ModifyVpcAttribute': ['vpc'],
  'ec2:MonitorInstances': ['instance'],
  'ec2:RevokeSecurityGroupEgress': ['security-group', 'security-group-rule'],
  'ec2:RevokeSecurityGroupIngress': ['security-group', 'security-group-rule'],
  'ec2:RunInstances': ['key-pair', 'security-group', 'subnet'],
  'ec2:StartInstances': ['instance'],
  'ec2:StopInstances': ['instance'],
  'ec2:TerminateInstances': ['instance'],
  'ec2:UnmonitorInstances': ['instance'],
};

/** Calls that have statements of their own. */
const SPECIAL = ['ec2:CreateTags', 'ec2:DeleteTags', 'ec2:RunInstances'];

const merge = (...lists: readonly string[][]): string[] => [...new Set(lists.flat())].sort();

/** The actions of recorded calls that need a permission, sorted and each once. */
export function listActions(recorded: readonly { readonly action: string }[]): string[] {
  return merge(recorded.map(({ action }) => action)).filter(
    (action) => !FREE.includes(action) && !REFUSED.includes(action),
  );
}

/**
 * The calls that the policies would refuse because they make something without the cluster's tag, as
 * `ec2:CreateVpc vpc`. `cluster` is the value of the tag.
 */
export function listUnmarked(recorded: readonly ApiCall[], cluster: string): string[] {
  return recorded.flatMap(({ action, parameters }) => {
    const made = action === 'ec2:RunInstances' ? ['instance', 'volume'] : [MADE[action] ?? ''];
    const marked = readMarked(parameters, cluster);
    return made
      .filter((kind) => kind !== '' && !marked.has(kind))
      .map((kind) => `${action} ${kind}`);
  });
}

/** The kinds of things that a request tags with the cluster's name. */
function readMarked(parameters: URLSearchParams, cluster: string): Set<string> {
  const kinds = new Set<string>();
  for (const [name, value] of parameters) {
    const [, specification, tag] = /^TagSpecification\.(\d+)\.Tag\.(\d+)\.Key$/.exec(name) ?? [];
    if (specification === undefined || value !== 'Cluster') continue;
    const start = `TagSpecification.${specification}`;
    if (parameters.get(`${start}.Tag.${tag}.Value`) === cluster) {
      kinds.add(parameters.get(`${start}.ResourceType`) ?? '');
    }
  }
  return kinds;
}

/**
 * Builds the policies of the two roles. Both name placeholders: CLUSTER, REGION, ACCOUNT, STATE-BUCKET, STATE-KEY.
 * Throws if a call changes something and has no place in the tables above.
 */
export function buildPolicies(calls: Calls): { readonly plan: Policy; readonly deploy: Policy } {
  const isRead = (action: string) => action.startsWith('ec2:Describe');
  const writes = merge([...calls.deploy], [...UNSEEN.deploy]).filter((one) => !isRead(one));
  const unknown = [...calls.plan, ...UNSEEN.plan]
    .filter((action) => !isRead(action))
    .concat(writes.filter((one) => !(one in CHANGED || one in MADE || SPECIAL.includes(one))));
  if (unknown.length > 0) throw new Error(`No statement for ${unknown.join(', ')}`);
  // A deploy plans as well.
  const planned = merge([...calls.plan], [...UNSEEN.plan]);
  const applied = merge(planned, [...calls.deploy, ...UNSEEN.deploy].filter(isRead));
  return {
    plan: {
      Version: '2012-10-17',
      Statement: [read(planned), ...state(['s3:GetObject'])],
    },
    deploy: {
      Version: '2012-10-17',
      Statement: [
        read(applied),
        ...make(writes),
        ...change(writes),
        ...tag(writes),
        ...state(['s3:GetObject', 's3:PutObject']),
        lock(),
      ],
    },
  };
}

/** EC2's Describe calls know neither resources nor tags; the region is what can be limited. */
function read(actions: readonly string[]): Statement {
  return {
    Sid: 'Read',
    Effect: 'Allow',
    Action: actions,
    Resource: ['*'],
    Condition: { StringEquals: { 'aws:RequestedRegion': 'REGION' } },
  };
}

function make(writes: readonly string[]): Statement[] {
  const launch = 'ec2:RunInstances';
  const kinds = merge(writes.flatMap((action) => MADE[action] ?? []));
  return [
    // A statement per kind: in one for all, the tag of a new subnet would allow it in every VPC.
    ...kinds.map(
      (kind): Statement => ({
        Sid: `Create${kind.replace(/(^|-)./g, (start) => start.slice(-1).toUpperCase())}`,
        Effect: 'Allow',
        Action: writes.filter((action) => MADE[action] === kind),
        Resource: locate(kind),
        Condition: { StringEquals: MARKED },
      }),
    ),
    {
      Sid: 'Launch',
      Effect: 'Allow',
      Action: [launch],
      Resource: locate('instance', 'volume'),
      Condition: { StringEquals: MARKED },
    },
    {
      Sid: 'LaunchInterface',
      Effect: 'Allow',
      Action: [launch],
      Resource: locate('network-interface'),
    },
    {
      Sid: 'LaunchDebian',
      Effect: 'Allow',
      Action: [launch],
      Resource: ['arn:aws:ec2:REGION::image/*'],
      Condition: { StringEquals: { 'ec2:Owner': DEBIAN } },
    },
  ];
}

function change(writes: readonly string[]): Statement[] {
  const changers = writes.filter((action) => action in CHANGED);
  return [
    {
      Sid: 'Change',
      Effect: 'Allow',
      Action: changers,
      // The tag says what may be changed; a list of kinds would say no more.
      Resource: locate('*'),
      Condition: { StringEquals: OWN },
    },
  ];
}

function tag(writes: readonly string[]): Statement[] {
  const makers = writes.filter((action) => action in MADE || action === 'ec2:RunInstances');
  return [
    {
      Sid: 'TagNew',
      Effect: 'Allow',
      Action: ['ec2:CreateTags'],
      Resource: locate('*'),
      Condition: {
        StringEquals: {
          ...MARKED,
          'ec2:CreateAction': makers.map((action) => action.replace('ec2:', '')),
        },
      },
    },
    {
      Sid: 'TagOwn',
      Effect: 'Allow',
      Action: ['ec2:CreateTags'],
      Resource: locate('*'),
      Condition: { StringEquals: OWN, StringEqualsIfExists: MARKED },
    },
    {
      Sid: 'UntagOwn',
      Effect: 'Allow',
      Action: ['ec2:DeleteTags'],
      Resource: locate('*'),
      Condition: {
        StringEquals: OWN,
        'ForAllValues:StringNotEquals': { 'aws:TagKeys': ['Cluster', 'ManagedBy'] },
        Null: { 'aws:TagKeys': 'false' },
      },
    },
  ];
}

/** Terraform's documentation, backend "s3", "Permissions Required". */
function state(actions: readonly string[]): Statement[] {
  const bucket = 'arn:aws:s3:::STATE-BUCKET';
  return [
    {
      Sid: 'FindState',
      Effect: 'Allow',
      Action: ['s3:ListBucket'],
      Resource: [bucket],
    },
    { Sid: 'State', Effect: 'Allow', Action: actions, Resource: [`${bucket}/STATE-KEY`] },
  ];
}

/** A review plans without the lock, so only a deploy needs it. */
function lock(): Statement {
  return {
    Sid: 'Lock',
    Effect: 'Allow',
    Action: ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'],
    Resource: ['arn:aws:s3:::STATE-BUCKET/STATE-KEY.tflock'],
  };
}
