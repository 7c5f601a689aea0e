import * as core from '@actions/core';
import {
  describeVolumesModifications,
  MODIFICATIONS_PERMISSION,
} from '../aws/describe-volumes-modifications.ts';
import { explainAwsError, showAwsWords } from '../aws/explain-error.ts';
import {
  explainUnchecked,
  judgeModifications,
  NO_VOLUMES,
  type VolumeReport,
} from '../cluster/volume-modification.ts';
import type { PlanResult } from '../operations/plan.ts';
import { listVolumeChanges } from '../terraform/volume-changes.ts';
import { connectEc2 } from './ec2-connection.ts';
import type { Job } from './job.ts';

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
      connectEc2(region),
    );
    return judgeModifications(
      volumes.map((one) => ({ ...one, isModified: isModified(one) })),
      { modifications, region, now: new Date() },
    );
  } catch (error) {
    // The words of AWS may be long and name the role; they are for the log.
    core.info(`EC2 did not describe the modifications of volumes: ${showAwsWords(error)}`);
    return {
      refusals: [],
      notes: [explainUnchecked(explainAwsError(error, MODIFICATIONS_PERMISSION))],
    };
  }
}
