/** A failure of EC2 and the next step. */
interface Failure {
  readonly pattern: RegExp;
  readonly nextStep: string;
}

/** ModifyVolume changes a volume in use; if it is refused, nothing about the volume has changed. */
const UNCHANGED =
  'The volume is as it was, and the database keeps running on it. What else was applied stays.';

/**
 * EC2's error codes ("Error codes for the Amazon EC2 API") and the AWS provider's waits. A KMS key is checked only after
 * CreateVolume and RunInstances have returned: EC2 then removes the volume again, or terminates the instance.
 */
const FAILURES: readonly Failure[] = [
  {
    pattern: /VolumeModificationRateExceeded/,
    nextStep: `EC2 allows four modifications of a volume within 24 hours, and this volume has had them. ${UNCHANGED} Run this job again when the first of the four is more than 24 hours ago: "aws ec2 describe-volumes-modifications" shows when each began.`,
  },
  {
    pattern: /IncorrectModificationState/,
    nextStep: `An earlier modification of this volume has not finished. ${UNCHANGED} Run this job again when "aws ec2 describe-volumes-modifications" shows it as completed, which takes minutes, or hours for a large volume.`,
  },
  {
    pattern: /VolumeModificationSizeLimitExceeded/,
    nextStep: `The account's quota for volumes that are modified at the same time is reached in this region. ${UNCHANGED} Run this job again when other modifications are completed, or raise the quota of Amazon EBS in Service Quotas.`,
  },
  {
    pattern: /VolumeLimitExceeded|MaxIOPSLimitExceeded|VolumeIOPSLimit/,
    nextStep:
      "The account's quota for the size or the IOPS of all its volumes is reached in this region. Volumes that exist are as they were. Raise the quota of Amazon EBS in Service Quotas, or give smaller values, then run this job again.",
  },
  {
    pattern: /modifying EBS Volume[\s\S]*\bratio\b/i,
    nextStep: `A volume can have at most 500 IOPS for each GiB, and a quarter of its IOPS in MiB/s. It keeps a value that is not given. ${UNCHANGED} Give both data-volume-iops and data-volume-throughput.`,
  },
  {
    pattern:
      /InvalidKmsKey|KMS key provided is in an incorrect state|not authorized to perform: kms:/i,
    nextStep:
      "EC2 cannot use the KMS key. Nodes that exist keep their volumes and keys. Check that the key of kms-key-id exists in this region and is enabled, and that its policy allows the job's role kms:CreateGrant, kms:Decrypt, kms:DescribeKey and kms:GenerateDataKeyWithoutPlaintext. Then run this job again.",
  },
  {
    pattern:
      /waiting for EBS Volume \([^)]*\) create: couldn't find resource|Client\.InternalError: Client error on launch/,
    nextStep:
      "EC2 accepted the request and then gave it up without a reason. This is what it does if it cannot use the KMS key: check that the key of kms-key-id (without it, the account's default key for EBS) exists in this region and is enabled, and that its policy allows the job's role kms:CreateGrant, kms:Decrypt, kms:DescribeKey and kms:GenerateDataKeyWithoutPlaintext. Nodes that exist keep their volumes and keys. Then run this job again.",
  },
  {
    pattern: /\(vol-[^)]*\)[^\n]*: unexpected state 'failed'/,
    nextStep: `EC2 began to modify the volume and could not finish. ${UNCHANGED} Run this job again; if it fails again, ask AWS support.`,
  },
];

/** Returns the next step if EC2 refused to create or modify a volume; null for another failure. */
export function explainVolume(stderr: string): string | null {
  return FAILURES.find(({ pattern }) => pattern.test(stderr))?.nextStep ?? null;
}
