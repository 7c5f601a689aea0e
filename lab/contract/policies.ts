import type { ApiCall } from './front.ts';
import {
  endpointRole,
  locate,
  lock,
  OWN,
  type Policy,
  type Statement,
  state,
  tunnel,
} from './statements.ts';

/** What the provider calls, by role: action names as in `ec2:RunInstances`, sorted. */
export interface Calls {
  /** While it plans. */
  readonly plan: readonly string[];
  /** While it applies. */
  readonly deploy: readonly string[];
  /** What it calls beside these if the cluster has backups. */
  readonly backups: { readonly plan: readonly string[]; readonly deploy: readonly string[] };
  /** What it calls beside these if the nodes have names in a zone. */
  readonly dns: { readonly plan: readonly string[]; readonly deploy: readonly string[] };
}

/** Everybody may call it. */
const FREE = ['sts:GetCallerIdentity'];

/** Calls that may be refused: the provider goes on without the answer. The front of moto refuses them. */
export const REFUSED = ['ec2:GetInstanceUefiData'];

/**
 * What no recorded call shows. The contract only plans a NAT gateway and an endpoint, so the provider
 * makes and removes none against moto (the calls are those of the provider's sources). The product asks how far a volume's
 * growth is, and where the endpoint of the tunnel is. EC2 makes the endpoint's network interface with the caller's
 * permission. More is in statements.ts: the tunnel itself, and the role of the endpoint's service.
 */
const UNSEEN: Pick<Calls, 'plan' | 'deploy'> = {
  plan: [
    'ec2:DescribeAddresses',
    'ec2:DescribeAddressesAttribute',
    'ec2:DescribeInstanceConnectEndpoints',
    'ec2:DescribeNatGateways',
    'ec2:DescribeVolumesModifications',
  ],
  deploy: [
    'ec2:AllocateAddress',
    'ec2:CreateInstanceConnectEndpoint',
    'ec2:CreateNatGateway',
    'ec2:CreateNetworkInterface',
    'ec2:DeleteInstanceConnectEndpoint',
    'ec2:DeleteNatGateway',
    'ec2:DescribeInstanceConnectEndpoints',
    'ec2:DescribeVolumesModifications',
    'ec2:DisassociateAddress',
    'ec2:ReleaseAddress',
    'ec2:ReplaceRoute',
  ],
};

const MARKED = { 'aws:RequestTag/Cluster': 'CLUSTER' };
const DEBIAN = '136693071363';

/** What a call makes, if EC2 authorises it on the new thing by the request's tags. */
const MADE: { readonly [action: string]: string } = {
  'ec2:AllocateAddress': 'elastic-ip',
  'ec2:AuthorizeSecurityGroupEgress': 'security-group-rule',
  'ec2:AuthorizeSecurityGroupIngress': 'security-group-rule',
  'ec2:CreateInstanceConnectEndpoint': 'instance-connect-endpoint',
  'ec2:CreateInternetGateway': 'internet-gateway',
  'ec2:CreateNatGateway': 'natgateway',
  'ec2:CreateRouteTable': 'route-table',
  'ec2:CreateSecurityGroup': 'security-group',
  'ec2:CreateSnapshot': 'snapshot',
  'ec2:CreateSubnet': 'subnet',
  'ec2:CreateVolume': 'volume',
  'ec2:CreateVpc': 'vpc',
  'ec2:CreateVpcEndpoint': 'vpc-endpoint',
  'ec2:ImportKeyPair': 'key-pair',
};

/** What a call changes or removes, or builds on; EC2 authorises it by the thing's tags. */
const CHANGED: { readonly [action: string]: readonly string[] } = {
  'ec2:AssociateRouteTable': ['route-table', 'subnet'],
  'ec2:AttachInternetGateway': ['internet-gateway', 'vpc'],
  'ec2:AttachVolume': ['instance', 'volume'],
  'ec2:AuthorizeSecurityGroupEgress': ['security-group'],
  'ec2:AuthorizeSecurityGroupIngress': ['security-group'],
  'ec2:CreateInstanceConnectEndpoint': ['security-group', 'subnet'],
  'ec2:CreateNatGateway': ['elastic-ip', 'subnet'],
  'ec2:CreateNetworkInterface': ['security-group', 'subnet'],
  'ec2:CreateRoute': ['route-table'],
  'ec2:CreateRouteTable': ['vpc'],
  'ec2:CreateSecurityGroup': ['vpc'],
  'ec2:CreateSnapshot': ['volume'],
  'ec2:CreateSubnet': ['vpc'],
  'ec2:DeleteInstanceConnectEndpoint': ['instance-connect-endpoint'],
  'ec2:DeleteInternetGateway': ['internet-gateway'],
  'ec2:DeleteKeyPair': ['key-pair'],
  'ec2:DeleteNatGateway': ['natgateway'],
  'ec2:DeleteRoute': ['route-table'],
  'ec2:DeleteRouteTable': ['route-table'],
  'ec2:DeleteSecurityGroup': ['security-group'],
  'ec2:DeleteSubnet': ['subnet'],
  'ec2:DeleteVolume': ['volume'],
  'ec2:DeleteVpc': ['vpc'],
  'ec2:DetachInternetGateway': ['internet-gateway', 'vpc'],
  'ec2:DetachVolume': ['instance', 'volume'],
  'ec2:DisassociateAddress': ['elastic-ip'],
  'ec2:DisassociateRouteTable': ['route-table', 'subnet'],
  'ec2:ModifyInstanceAttribute': ['instance'],
  'ec2:ModifyInstanceMetadataOptions': ['instance'],
  'ec2:ModifySecurityGroupRules': ['security-group', 'security-group-rule'],
  'ec2:ModifySubnetAttribute': ['subnet'],
  'ec2:ModifyVolume': ['volume'],
  'ec2:ModifyVpcAttribute': ['vpc'],
  'ec2:MonitorInstances': ['instance'],
  'ec2:ReleaseAddress': ['elastic-ip'],
  'ec2:ReplaceRoute': ['route-table'],
  'ec2:RevokeSecurityGroupEgress': ['security-group', 'security-group-rule'],
  'ec2:RevokeSecurityGroupIngress': ['security-group', 'security-group-rule'],
  'ec2:RunInstances': ['key-pair', 'security-group', 'subnet'],
  'ec2:StartInstances': ['instance'],
  'ec2:StopInstances': ['instance'],
  'ec2:TerminateInstances': ['instance'],
  'ec2:UnmonitorInstances': ['instance'],
};

/** What a Describe call reads, if EC2 authorises it by the thing's tags. The user data of an instance often has secrets. */
const READ: { readonly [action: string]: string } = {
  'ec2:DescribeInstanceAttribute': 'instance',
  'ec2:DescribeVpcAttribute': 'vpc',
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
 * Builds the policies of the two roles; the deploying one has two, which are too long for one managed policy. All name
 * placeholders: CLUSTER, REGION, ACCOUNT, STATE-BUCKET, STATE-KEY.
 * Throws if a call changes something and has no place in the tables above.
 */
export function buildPolicies(calls: Pick<Calls, 'plan' | 'deploy'>): {
  readonly [name in 'plan' | 'deploy' | 'deploy-create']: Policy;
} {
  const isRead = (action: string) => action.startsWith('ec2:Describe');
  const writes = merge([...calls.deploy], [...UNSEEN.deploy]).filter((one) => !isRead(one));
  const unknown = [...calls.plan, ...UNSEEN.plan]
    .filter((action) => !isRead(action))
    .concat(writes.filter((one) => !(one in CHANGED || one in MADE || SPECIAL.includes(one))));
  if (unknown.length > 0) throw new Error(`No statement for ${unknown.join(', ')}`);
  // A deploy plans as well.
  const planned = merge([...calls.plan], [...UNSEEN.plan]);
  const applied = merge(planned, [...calls.deploy, ...UNSEEN.deploy].filter(isRead));
  const connect = tunnel({
    Sid: 'Tunnel',
    Resource: locate('instance-connect-endpoint'),
    StringEquals: OWN,
  });
  const policy = (...Statement: Statement[]): Policy => ({ Version: '2012-10-17', Statement });
  return {
    plan: policy(...read(planned), connect, ...state(['s3:GetObject'])),
    deploy: policy(
      ...read(applied),
      connect,
      ...change(writes),
      ...retag(),
      ...state(['s3:GetObject', 's3:PutObject']),
      lock(),
    ),
    'deploy-create': policy(...make(writes), tagNew(writes), endpointRole()),
  };
}

/** Most of EC2's Describe calls know neither resources nor tags; the region is what can be limited. */
function read(actions: readonly string[]): Statement[] {
  const own = actions.filter((action) => action in READ);
  const kinds = merge(own.flatMap((action) => READ[action] ?? []));
  return [
    {
      Sid: 'Read',
      Effect: 'Allow',
      Action: actions.filter((action) => !own.includes(action)),
      Resource: ['*'],
      Condition: { StringEquals: { 'aws:RequestedRegion': 'REGION' } },
    },
    ...(own.length === 0
      ? []
      : [
          {
            Sid: 'ReadOwn',
            Effect: 'Allow' as const,
            Action: own,
            Resource: locate(...kinds),
            Condition: { StringEquals: OWN },
          },
        ]),
  ];
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
      Action: ['ec2:CreateNetworkInterface', launch],
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

function tagNew(writes: readonly string[]): Statement {
  const makers = writes.filter((action) => action in MADE || action === 'ec2:RunInstances');
  return {
    Sid: 'TagNew',
    Effect: 'Allow',
    Action: ['ec2:CreateTags'],
    Resource: locate('*', 'snapshot'),
    Condition: {
      StringEquals: {
        ...MARKED,
        'ec2:CreateAction': makers.map((action) => action.replace('ec2:', '')),
      },
    },
  };
}

function retag(): Statement[] {
  return [
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
