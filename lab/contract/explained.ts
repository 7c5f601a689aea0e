import type { Explained } from './compare.ts';

/** Where the plans of the lab's provider and of the real one may differ, and why. There is no other place for that. */
export const EXPLAINED: readonly Explained[] = [
  {
    type: 'aws_instance',
    attribute: 'disable_api_termination',
    cause: 'moto',
    reason: 'DescribeInstanceAttribute answers false after RunInstances with DisableApiTermination',
  },
  {
    type: 'aws_vpc_security_group_ingress_rule',
    attribute: 'description',
    cause: 'moto',
    reason: 'the description of a rule that names a group is not stored',
  },
  {
    type: 'aws_instance',
    attribute: 'user_data',
    cause: 'release',
    reason: '5.x computes it; the lab has the schema of 6.x, which does not',
  },
  {
    type: 'aws_dlm_lifecycle_policy',
    attribute: 'policy_details',
    cause: 'release',
    reason: 'only 6.x has, and computes, its policy_language',
  },
  {
    type: 'aws_nat_gateway',
    attribute: 'secondary_allocation_ids',
    cause: 'release',
    reason: '6.x computes it as well, for gateways of a whole region',
  },
];
