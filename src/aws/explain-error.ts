import { cleanText } from '../messages/clean-text.ts';
import { readMessage } from '../messages/errors.ts';
import { AwsError } from './credentials.ts';

/** AWS's codes if it does not accept the credentials. */
const REJECTED =
  /^(?:AuthFailure|ExpiredToken|RequestExpired|InvalidClientTokenId|SignatureDoesNotMatch)$/;

/** The most of AWS's words that the log shows, in code units; with an encoded authorization message they are longer. */
const MAX_WORDS = 1000;

/** Returns why a request to EC2 failed, as the rest of a sentence; `permission` is the one that it needs. */
export function explainAwsError(error: unknown, permission: string): string {
  const code = error instanceof AwsError ? error.code : '';
  if (code === 'UnauthorizedOperation') return `the job's role lacks the permission ${permission}.`;
  if (code === 'NoCredentials') return 'the action found no AWS credentials.';
  if (REJECTED.test(code)) return "AWS does not accept the job's credentials.";
  if (code === 'RequestLimitExceeded') return 'AWS limits the requests of this account at present.';
  return `EC2 gave no usable answer; the job's log has its words.`;
}

/** Returns AWS's code and words on one line, so that they cannot begin a workflow command. */
export function showAwsWords(error: unknown): string {
  const code = error instanceof AwsError ? `${error.code}: ` : '';
  const words = cleanText(readMessage(error)).replaceAll('\n', ' ');
  return `${code}${words.length > MAX_WORDS ? `${words.slice(0, MAX_WORDS)}…` : words}`;
}
