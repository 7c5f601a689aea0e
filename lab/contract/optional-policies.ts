import { associate, BACKUP_POLICIES } from './backup-policies.ts';
import { SNAPSHOT_POLICIES } from './snapshot-policies.ts';
import { type Policy, type Statement, tunnel } from './statements.ts';

const policy = (...Statement: Statement[]): Policy => ({ Version: '2012-10-17', Statement });

const ZONE = 'arn:aws:route53:::hostedzone/ZONE-ID';

const readZone: Statement[] = [
  {
    Sid: 'ReadZone',
    Effect: 'Allow',
    Action: [
      'route53:GetHostedZone',
      'route53:ListResourceRecordSets',
      'route53:ListTagsForResource',
    ],
    Resource: [ZONE],
  },
  {
    Sid: 'FindZone',
    Effect: 'Allow',
    // It knows no resource: the provider looks for the zone among all.
    Action: ['route53:ListHostedZones'],
    Resource: ['*'],
  },
];

const useKey = (actions: string[], key: string, service: string): Statement => ({
  Sid: 'UseKey',
  Effect: 'Allow',
  Action: actions,
  Resource: [key],
  // The key serves this service's requests alone, not calls of KMS itself.
  Condition: { StringEquals: { 'kms:ViaService': `${service}.REGION.amazonaws.com` } },
});

/**
 * What only some clusters need, by file name without `.json`. The placeholders beside those of the main policies are lists
 * of ids: SUBNET, VPC, ENDPOINT, ZONE-ID with ZONE-NAME, and ARNs: NODE-ROLE, BOUNDARY,
 * SNAPSHOT-BOUNDARY, VOLUME-KEY, OBJECT-KEY.
 */
export const OPTIONAL_POLICIES: { readonly [name: string]: Policy } = {
  // dns_zone_id. Service Authorization Reference, "Amazon Route 53"; Amazon Route 53 Developer Guide, "Using IAM policy
  // conditions for fine-grained access control".
  'plan-dns': policy(...readZone),
  'deploy-dns': policy(
    ...readZone,
    {
      Sid: 'ChangeNames',
      Effect: 'Allow',
      Action: ['route53:ChangeResourceRecordSets'],
      Resource: [ZONE],
      Condition: {
        'ForAllValues:StringEquals': { 'route53:ChangeResourceRecordSetsRecordTypes': ['A'] },
        'ForAllValues:StringLike': {
          'route53:ChangeResourceRecordSetsNormalizedRecordNames': ['*.CLUSTER.ZONE-NAME'],
        },
        // ForAllValues is also true for a request without any value.
        Null: { 'route53:ChangeResourceRecordSetsNormalizedRecordNames': 'false' },
      },
    },
    {
      Sid: 'AwaitNames',
      Effect: 'Allow',
      Action: ['route53:GetChange'],
      Resource: ['arn:aws:route53:::change/*'],
    },
  ),
  // instance_connect_endpoint_id: an endpoint that the VPC had before does not bear the cluster's tag.
  endpoint: policy(
    tunnel({
      Sid: 'GivenEndpoint',
      Resource: ['arn:aws:ec2:REGION:ACCOUNT:instance-connect-endpoint/ENDPOINT'],
    }),
  ),
  // subnet_ids: neither the subnets nor their VPC bear the cluster's tag.
  'deploy-subnets': policy(
    {
      Sid: 'GivenSubnets',
      Effect: 'Allow',
      Action: [
        'ec2:CreateInstanceConnectEndpoint',
        'ec2:CreateNetworkInterface',
        'ec2:RunInstances',
      ],
      Resource: ['arn:aws:ec2:REGION:ACCOUNT:subnet/SUBNET'],
    },
    {
      Sid: 'GivenVpc',
      Effect: 'Allow',
      Action: ['ec2:CreateSecurityGroup'],
      Resource: ['arn:aws:ec2:REGION:ACCOUNT:vpc/VPC'],
    },
  ),
  // instance_profile
  'deploy-instance-profile': policy(
    {
      Sid: 'PassNodeRole',
      Effect: 'Allow',
      Action: ['iam:PassRole'],
      Resource: ['NODE-ROLE'],
      Condition: { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
    },
    ...associate,
  ),
  // backup and restore
  ...BACKUP_POLICIES,
  // snapshots
  ...SNAPSHOT_POLICIES,
  // kms_key_id. Amazon EBS User Guide, "Requirements for Amazon EBS encryption".
  'deploy-volume-key': policy(
    useKey(
      ['kms:Decrypt', 'kms:DescribeKey', 'kms:GenerateDataKeyWithoutPlaintext', 'kms:ReEncrypt*'],
      'VOLUME-KEY',
      'ec2',
    ),
    {
      Sid: 'GrantKey',
      Effect: 'Allow',
      Action: ['kms:CreateGrant'],
      Resource: ['VOLUME-KEY'],
      Condition: {
        Bool: { 'kms:GrantIsForAWSResource': 'true' },
        StringEquals: { 'kms:ViaService': 'ec2.REGION.amazonaws.com' },
      },
    },
  ),
  // A key of one's own for the state. Amazon S3 User Guide, "Using server-side encryption with AWS KMS keys".
  'plan-state-key': policy(useKey(['kms:Decrypt'], 'OBJECT-KEY', 's3')),
  'deploy-state-key': policy(useKey(['kms:Decrypt', 'kms:GenerateDataKey'], 'OBJECT-KEY', 's3')),
};
