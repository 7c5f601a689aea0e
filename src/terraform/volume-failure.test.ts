import { expect, test } from 'vitest';
import { ProcessError } from '../process/child-process.ts';
import { explainFailure } from './explain-failure.ts';

const explain = (stderr: string) =>
  explainFailure(new ProcessError('terraform', { exitCode: 1, stdout: '', stderr }), {
    product: 'Terraform',
    args: ['apply'],
  }).message;

const modify = (code: string, text: string) =>
  `Error: modifying EBS Volume (vol-0a1b2c3d4e5f60718): operation error EC2: ModifyVolume, https response error StatusCode: 400, RequestID: 3cc60db2, api error ${code}: ${text}`;

// As EC2 and the AWS provider write them.
test.each<[string, string, RegExp]>([
  [
    'four modifications within 24 hours',
    modify(
      'VolumeModificationRateExceeded',
      "You've reached the maximum modification rate per volume limit.",
    ),
    /four modifications .* The volume is as it was, and the database keeps running .* again when the first of the four is more than 24 hours ago/,
  ],
  [
    'a modification that is not completed',
    modify(
      'IncorrectModificationState',
      'Volume vol-0a1b2c3d4e5f60718 cannot be modified in modification state OPTIMIZING',
    ),
    /An earlier modification .* the database keeps running .* shows it as completed/,
  ],
  [
    'the quota of modifications',
    modify('VolumeModificationSizeLimitExceeded', "You've reached the limit"),
    /quota for volumes that are modified .* the database keeps running .* Service Quotas/,
  ],
  [
    'the quota of IOPS',
    modify('MaxIOPSLimitExceeded', 'limit'),
    /quota for the size or the IOPS .* as they were/,
  ],
  [
    'a ratio with a value that is not given',
    modify(
      'InvalidParameterCombination',
      'Throughput to IOPS ratio of 0.33 is too high; maximum is 0.25',
    ),
    /at most 500 IOPS .* Give both data-volume-iops and data-volume-throughput\.$/,
  ],
  [
    'a modification that failed',
    "Error: waiting for EC2 Instance (i-0) EBS Volume (vol-0) update: unexpected state 'failed', wanted target 'completed, optimizing'",
    /could not finish\. The volume is as it was/,
  ],
  [
    'a key in a wrong state, for an instance',
    "Error: waiting for EC2 Instance (i-0) create: unexpected state 'shutting-down', wanted target 'running'. last error: Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state",
    /EC2 cannot use the KMS key\. Nodes that exist keep .* kms:CreateGrant/,
  ],
  [
    'a key that the role may not use',
    'Error: creating EBS Volume: api error UnauthorizedOperation: User is not authorized to perform: kms:GenerateDataKeyWithoutPlaintext',
    /EC2 cannot use the KMS key/,
  ],
  [
    'a volume that disappears, as with an unusable key',
    "Error: waiting for EBS Volume (vol-0a1b2c3d4e5f60718) create: couldn't find resource (21 retries)",
    /gave it up without a reason\. This is what it does if it cannot use the KMS key/,
  ],
  [
    'an instance that is terminated at once',
    "Error: waiting for EC2 Instance (i-0) create: unexpected state 'terminated', wanted target 'running'. last error: Client.InternalError: Client error on launch",
    /gave it up without a reason/,
  ],
])('%s is explained', (_, stderr, expected) => {
  expect(explain(stderr)).toMatch(expected);
  expect(explain(stderr)).toContain(stderr);
});

test('another failure has no next step', () => {
  const other = 'Error: creating EC2 Instance: InvalidAMIID.NotFound';
  expect(explain(other)).toBe(`terraform apply failed:\n${other}`);
});
