/** Words of the AWS SDK and of Terraform's backends where there are no credentials at all. */
const MISSING =
  /no valid credential sources|NoCredentialProviders|no EC2 IMDS role found|get credentials: .*(?:not found|no such host)/i;
/** … and where AWS does not take those that there are. */
const REJECTED =
  /ExpiredToken|RequestExpired|security token included in the request is (?:expired|invalid)|InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|SignatureDoesNotMatch|AuthFailure: AWS was not able to validate/i;

/** The next step where Terraform failed for its AWS credentials; null where it failed for something else. */
export function explainCredentials(stderr: string): string | null {
  if (REJECTED.test(stderr)) {
    return 'AWS does not accept the credentials of this job; they may have expired. Run the job again; with aws-actions/configure-aws-credentials give role-duration-seconds more than the job needs.';
  }
  return MISSING.test(stderr)
    ? 'The job has no AWS credentials. Put aws-actions/configure-aws-credentials with role-to-assume before this step, and give the job the permission id-token: write. On a self-hosted runner an instance profile does as well.'
    : null;
}
