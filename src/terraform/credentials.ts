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

/** Returns the next step if EC2 refused the instance profile; null for another failure. */
export function explainProfile(stderr: string): string | null {
  if (/Invalid IAM Instance Profile name/.test(stderr)) {
    return 'The account has no instance profile with this name. Correct instance-profile, or create the profile; a new profile may take minutes to become visible.';
  }
  return /not authorized to perform: iam:PassRole/.test(stderr)
    ? "The job's role may not pass the role of instance-profile to EC2. Allow iam:PassRole on that role, then run the job again."
    : null;
}
