/** A statement of an IAM policy (IAM User Guide, "IAM JSON policy elements reference"). */
export interface Statement {
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

/**
 * The ARNs of all things of the kinds, in EC2, in the cluster's region. AWS writes that of a snapshot without an account
 * (Service Authorization Reference); an account does not match it, and the wildcard matches both.
 */
export function locate(...kinds: string[]): string[] {
  return kinds.map(
    (kind) => `arn:aws:ec2:REGION:${kind === 'snapshot' ? '*' : 'ACCOUNT'}:${kind}/*`,
  );
}

/** What bears the cluster's name in its tags. */
export const OWN = { 'aws:ResourceTag/Cluster': 'CLUSTER' };

/** Terraform's documentation, backend "s3", "Permissions Required". */
export function state(actions: readonly string[]): Statement[] {
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
export function lock(): Statement {
  return {
    Sid: 'Lock',
    Effect: 'Allow',
    Action: ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'],
    Resource: ['arn:aws:s3:::STATE-BUCKET/STATE-KEY.tflock'],
  };
}

/**
 * Port 22 through an EC2 Instance Connect Endpoint (Amazon EC2 User Guide, "Grant permissions to use EC2 Instance Connect
 * Endpoint"). The action opens the tunnel, not Terraform. An hour is the service's own maximum: the condition refuses a
 * tunnel that would be longer should the service allow it one day.
 */
export function tunnel(
  limits: Pick<Statement, 'Sid' | 'Resource'> & {
    readonly StringEquals?: { readonly [key: string]: string };
  },
): Statement {
  const { Sid, Resource, StringEquals } = limits;
  return {
    Sid,
    Effect: 'Allow',
    Action: ['ec2-instance-connect:OpenTunnel'],
    Resource,
    Condition: {
      ...(StringEquals && { StringEquals }),
      NumericEquals: { 'ec2-instance-connect:remotePort': '22' },
      NumericLessThanEquals: { 'ec2-instance-connect:maxTunnelDuration': '3600' },
    },
  };
}

/**
 * EC2 makes the role on behalf of the first caller in an account that creates an endpoint. The name has a wildcard because
 * the User Guide spells it ...EC2InstanceConnect and the service ...Ec2InstanceConnect; ARNs are case-sensitive.
 */
export function endpointRole(): Statement {
  const service = 'ec2-instance-connect.amazonaws.com';
  return {
    Sid: 'CreateEndpointRole',
    Effect: 'Allow',
    Action: ['iam:CreateServiceLinkedRole'],
    Resource: [`arn:aws:iam::ACCOUNT:role/aws-service-role/${service}/*`],
    Condition: { StringEquals: { 'iam:AWSServiceName': service } },
  };
}
