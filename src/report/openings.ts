import type { PlanSummary } from '../terraform/plan.ts';

/** The input that says who may reach a port. */
const INPUTS: Readonly<Record<number, string>> = { 22: 'ssh-cidrs', 5432: 'client-cidrs' };
const MAX_SHOWN = 5;

/** Returns one sentence of plain text for each opening: the port, who may reach it, and what to do. */
export function describeOpenings({ openings }: Pick<PlanSummary, 'openings'>): string[] {
  const shown = openings
    .slice(0, MAX_SHOWN)
    .map(
      ({ group, port, peer }) =>
        `${peer} may reach port ${port} of the nodes by a rule of ${group} that was added outside Terraform. Remove the rule in EC2; a network that is to be admitted belongs in ${INPUTS[port]}.`,
    );
  const more = openings.length - shown.length;
  return more > 0 ? [...shown, `${more} more rules of this kind are in EC2.`] : shown;
}
