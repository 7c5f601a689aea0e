import { z } from 'zod';
import type { PlanDocument } from './plan-document.ts';

const group = z.object({ vpc_id: z.string().regex(/^vpc-[0-9a-f]{1,17}$/) });

/** Returns the VPC that the nodes are in after the plan; null if the plan makes it. */
export function readPlannedVpc({ resource_changes }: PlanDocument): string | null {
  const nodes = resource_changes.find(
    ({ type, name, deposed }) =>
      type === 'aws_security_group' && name === 'nodes' && deposed === undefined,
  );
  return group.safeParse(nodes?.change.after).data?.vpc_id ?? null;
}
