import { z } from 'zod';
import type { VolumeModification } from '../cluster/volume-modification.ts';
import { volumeId } from '../terraform/node-values.ts';
import { AwsError } from './credentials.ts';
import { type Ec2Connection, queryEc2 } from './ec2-query.ts';

/** The permission that the request needs. */
export const MODIFICATIONS_PERMISSION = 'ec2:DescribeVolumesModifications';

/** A number in EC2's XML. */
const amount = z
  .string()
  .regex(/^\d{1,9}$/)
  .transform(Number);
const time = z.iso.datetime().transform((text) => new Date(text));
const item = z
  .object({
    volumeId,
    modificationState: z.enum(['modifying', 'optimizing', 'completed', 'failed']),
    originalSize: amount,
    targetSize: amount,
    originalIops: amount.optional(),
    targetIops: amount.optional(),
    originalThroughput: amount.optional(),
    targetThroughput: amount.optional(),
    progress: amount.optional(),
    startTime: time,
  })
  .transform(
    (one): VolumeModification => ({
      volume: one.volumeId,
      state: one.modificationState,
      progress: one.progress === undefined ? null : Math.min(one.progress, 100),
      started: one.startTime,
      changes: [
        { attribute: 'size' as const, before: one.originalSize, after: one.targetSize },
        { attribute: 'iops' as const, before: one.originalIops, after: one.targetIops },
        {
          attribute: 'throughput' as const,
          before: one.originalThroughput,
          after: one.targetThroughput,
        },
      ].flatMap(({ attribute, before, after }) =>
        before === undefined || after === undefined || before === after
          ? []
          : [{ attribute, before, after }],
      ),
    }),
  );
// The parser returns one element as itself and an empty one as a text.
const items = z.union([
  z.literal('').transform((): VolumeModification[] => []),
  z
    .object({ item: z.union([z.array(item).max(100), item]) })
    .transform(({ item: found }) => [found].flat()),
]);
const answer = z.object({
  DescribeVolumesModificationsResponse: z.object({ volumeModificationSet: items }),
});

/**
 * Asks EC2 for the most recent modification of each volume (EC2 API Reference, DescribeVolumesModifications); volumes
 * that were never modified are not in the answer. A request by id would fail because of them, so it is a filter.
 *
 * @throws AwsError as `queryEc2`, and `NoAnswer` if the answer is not one
 */
export async function describeVolumesModifications(
  volumes: readonly string[],
  connection: Ec2Connection,
): Promise<VolumeModification[]> {
  const values = volumes.map((id, index) => [`Filter.1.Value.${index + 1}`, id]);
  const parameters = { 'Filter.1.Name': 'volume-id', ...Object.fromEntries(values) };
  const document = await queryEc2('DescribeVolumesModifications', parameters, connection);
  const parsed = answer.safeParse(document);
  if (!parsed.success) {
    throw new AwsError(
      'NoAnswer',
      `The answer is not as documented: ${z.prettifyError(parsed.error)}`,
    );
  }
  const found = parsed.data.DescribeVolumesModificationsResponse.volumeModificationSet;
  return found.filter(({ volume }) => volumes.includes(volume));
}
