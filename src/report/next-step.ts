import { estimateDuration, formatRange } from '../cluster/rollout/duration.ts';
import { CREATING_ACTIONS, listNodes } from '../terraform/node-changes.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import { renderDocs } from './docs.ts';
import type { RunInfo } from './footer.ts';
import type { DatabasePlan } from './steps.ts';

/** What a merge would do with a plan. */
export interface NextStep {
  readonly plan: PlanSummary;
  readonly database: DatabasePlan;
  /** `refused`: no label allows it. `blocked`: a label would. */
  readonly verdict: 'refused' | 'blocked' | 'planned';
  readonly run: RunInfo;
}

/** Renders what happens next and where it is explained, one line of Markdown. */
export function renderNextStep({ plan, database, verdict, run }: NextStep): string {
  const page = verdict === 'planned' ? 'review' : 'troubleshooting';
  const label = verdict === 'planned' ? 'What a merge does' : 'What to do';
  const link = renderDocs(label, run, page);
  const text = describeNext({ plan, database, verdict });
  return `**Next:** ${text}${link === '' ? '' : ` ${link}`}`;
}

function describeNext({ plan, database, verdict }: Omit<NextStep, 'run'>): string {
  switch (verdict) {
    case 'refused':
      return 'change this pull request; nothing of it is applied as it is.';
    case 'blocked':
      return 'allow it or change this pull request; until then a merge changes nothing.';
    case 'planned': {
      if (database.kind === 'unobserved') return 'merging applies this after a look at the nodes.';
      const steps = database.kind === 'steps' ? database.steps : [];
      const duration = estimateDuration(steps, readNew(plan));
      return duration === null
        ? 'merging applies this; how long the copy takes depends on the data.'
        : `merging applies this; ${formatRange(duration)}.`;
    }
  }
}

function readNew(plan: PlanSummary): Parameters<typeof estimateDuration>[1] {
  const creates = (type: string) =>
    plan.resources.some((one) => one.type === type && CREATING_ACTIONS.includes(one.action));
  return {
    nodes: listNodes(plan, 'aws_instance.node').filter(({ resource }) =>
      CREATING_ACTIONS.includes(resource.action),
    ).length,
    endpoint: creates('aws_ec2_instance_connect_endpoint'),
    natGateway: creates('aws_nat_gateway'),
  };
}
