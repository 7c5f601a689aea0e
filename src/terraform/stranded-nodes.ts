import { z } from 'zod';
import { compareNames, nodeName } from '../cluster/node.ts';
import type { PlanDocument } from './plan-document.ts';

const text = z.string().nullish();
const route = z.object({ nat_gateway_id: text });
const instance = z.object({ public_ip: text });

/**
 * Finds the nodes that would have no way to the internet after the plan: it takes the NAT gateway away, and they have no
 * public address. A subnet assigns one only when an instance is launched, and without it nothing gets through an internet
 * gateway (Amazon VPC User Guide, "Enable internet access for a VPC using an internet gateway").
 */
export function findStranded({ resource_changes: resources }: PlanDocument): string[] {
  const isLeft = resources.some(({ type, name, change }) => {
    if (type !== 'aws_route' || name !== 'internet' || !change.actions.includes('update'))
      return false;
    const [before, after] = [change.before, change.after].map((side) => route.safeParse(side).data);
    return Boolean(before?.nat_gateway_id) && !after?.nat_gateway_id;
  });
  if (!isLeft) return [];
  return resources
    .filter(({ type, name, deposed }) => type === 'aws_instance' && name === 'node' && !deposed)
    .filter(({ change }) => !change.actions.includes('delete'))
    .filter(({ change }) => {
      const { data } = instance.safeParse(change.before);
      return data !== undefined && !data.public_ip;
    })
    .map(({ index }) => nodeName(Number(index)))
    .sort(compareNames);
}
