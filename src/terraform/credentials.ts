/** Messages of the AWS SDK and of Terraform's backends if there are no credentials. */
const MISSING =
  /no valid credential sources|NoCredentialProviders|no EC2 IMDS role found|get credentials: .*(?:not found|no such host)/i;
/** Messages if AWS rejects the credentials. */
const REJECTED =
  /ExpiredToken|RequestExpired|security token included in the request is (?:expired|invalid)|InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|SignatureDoesNotMatch|AuthFailure: AWS was not able to validate/i;

/** Messages if the credentials lack a permission. */
const FORBIDDEN = /UnauthorizedOperation|AccessDenied/;

/** Whether Terraform failed because of its AWS credentials or their permissions. */
export function isAccessFailure(stderr: string): boolean {
  return [MISSING, REJECTED, FORBIDDEN].some((pattern) => pattern.test(stderr));
}

/** Returns the next step if Terraform failed because of its AWS credentials; null for another failure. */
export function explainCredentials(stderr: string): string | null {
  if (REJECTED.test(stderr)) {
    return 'AWS does not accept the credentials of this job; they may have expired. Run the job again; with aws-actions/configure-aws-credentials give role-duration-seconds more than the job needs.';
  }
  return MISSING.test(stderr)
    ? 'The job has no AWS credentials. Put aws-actions/configure-aws-credentials with role-to-assume before this step, and give the job the permission id-token: write. On a self-hosted runner an instance profile does as well.'
    : null;
}

/** The name that the templates give a profile: of the cluster, with the provider's suffix (`templates/aws/backup.tf`). */
const OWN_PROFILE = /\([a-z0-9-]+-nodes-\d{18}[0-9a-f]{8}\)/;
/** What only the role of the nodes needs. IAM names a role that is read without its path. */
const REFUSED_ROLE =
  /not authorized to perform: (iam:(?:(?:Get|List|Put|Delete|Tag|Untag|Add|Remove)\w+|Create(?:Role|InstanceProfile)|PassRole on resource: \S+:role\/postgres-cluster\/))/;

/** Returns the next step if EC2 or IAM refused the instance profile or its role; null for another failure. */
export function explainProfile(stderr: string): string | null {
  if (/Invalid IAM Instance Profile name/.test(stderr)) {
    return OWN_PROFILE.test(stderr)
      ? 'EC2 does not know the new instance profile of the nodes yet. Run the job again.'
      : 'The account has no instance profile with this name. Correct instance-profile, or create the profile; a new profile may take minutes to become visible.';
  }
  const refused = REFUSED_ROLE.exec(stderr)?.[1];
  if (refused !== undefined) {
    return /^iam:(Get|List)/.test(refused)
      ? "The job's role may not read the role that the nodes have for their backups. Attach plan-backup.json of setup/aws/policies to it (to the deploying role deploy-backup.json), or set instance-profile."
      : "The job's role may not make the role that the nodes need for their backups. Attach deploy-backup.json of setup/aws/policies to it and give the boundary in it as permissions_boundary of backup; or set instance-profile to one whose role reaches the bucket.";
  }
  if (/Scope ARN: \S+ does not exist or is not attachable/.test(stderr)) {
    return 'The account has no policy with the ARN in permissions_boundary of backup. setup/aws makes one (output node_boundary_arn).';
  }
  return /not authorized to perform: iam:PassRole/.test(stderr)
    ? "The job's role may not pass the role of instance-profile to EC2. Allow iam:PassRole on that role, then run the job again."
    : null;
}
