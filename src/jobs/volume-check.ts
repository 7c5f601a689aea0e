import * as core from '@actions/core';
import { AwsError, createCredentialSource } from '../aws/credentials.ts';
import {
  describeVolumesModifications,
  MODIFICATIONS_PERMISSION,
} from '../aws/describe-volumes-modifications.ts';
import { chooseEndpoint } from '../aws/endpoint.ts';
import {
  explainUnchecked,
  judgeModifications,
  NO_VOLUMES,
  type VolumeReport,
} from '../cluster/volume-modification.ts';
import { cleanText } from '../messages/clean-text.ts';
import { readMessage } from '../messages/errors.ts';
import type { PlanResult } from '../operations/plan.ts';
import { listVolumeChanges } from '../terraform/volume-changes.ts';
import type { Job } from './job.ts';

/** AWS's codes if it does not accept the credentials. */
const REJECTED =
  /^(?:AuthFailure|ExpiredToken|RequestExpired|InvalidClientTokenId|SignatureDoesNotMatch)$/;

/**
 * Asks EC2 whether EBS would modify the volumes that the plan modifies. A plan that modifies none asks nothing. An answer
 * that cannot be had is a note.
 */
export async function checkVolumes(
  job: Job,
  { summary, volumes }: Pick<PlanResult, 'summary' | 'volumes'>,
): Promise<VolumeReport> {
  const changes = listVolumeChanges(summary);
  if (changes.length === 0) return NO_VOLUMES;
  const { region } = job.inputs.spec;
  const isModified = (one: (typeof volumes)[number]) =>
    changes.some(({ node, kind }) => node === one.node && kind === one.kind);
  try {
    const modifications = await describeVolumesModifications(
      volumes.map(({ id }) => id),
      {
        region,
        endpoint: chooseEndpoint(process.env, region),
        credentials: createCredentialSource({ mask: core.setSecret }),
      },
    );
    return judgeModifications(
      volumes.map((one) => ({ ...one, isModified: isModified(one) })),
      { modifications, region, now: new Date() },
    );
  } catch (error) {
    // The words of AWS may be long and name the role; they are for the log.
    core.info(`EC2 did not describe the modifications of volumes: ${showWords(error)}`);
    return { refusals: [], notes: [explainUnchecked(explainReason(error))] };
  }
}

/** The most of AWS's words that the log shows, in code units; with an encoded authorization message they are longer. */
const MAX_WORDS = 1000;

/** Returns AWS's code and words on one line, so that they cannot begin a workflow command. */
function showWords(error: unknown): string {
  const code = error instanceof AwsError ? `${error.code}: ` : '';
  const words = cleanText(readMessage(error)).replaceAll('\n', ' ');
  return `${code}${words.length > MAX_WORDS ? `${words.slice(0, MAX_WORDS)}…` : words}`;
}

function explainReason(error: unknown): string {
  const code = error instanceof AwsError ? error.code : '';
  if (code === 'UnauthorizedOperation')
    return `the job's role lacks the permission ${MODIFICATIONS_PERMISSION}.`;
  if (code === 'NoCredentials') return 'the action found no AWS credentials.';
  if (REJECTED.test(code)) return "AWS does not accept the job's credentials.";
  return `EC2 gave no usable answer; the job's log has its words.`;
}
