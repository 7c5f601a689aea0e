import { estimateDuration, formatRange } from '../cluster/rollout/duration.ts';
import { CREATING_ACTIONS, listNodes } from '../terraform/node-changes.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import type { BackupReport } from './backups.ts';
import { renderDocs } from './docs.ts';
import type { RunInfo } from './footer.ts';
import type { DatabasePlan } from './steps.ts';

/** What a merge would do with a plan. */
export interface NextStep {
  readonly plan: PlanSummary;
  readonly database: DatabasePlan;
  readonly backups: BackupReport | null;
  /** `refused`: no label allows it. `blocked`: a label would. */
  readonly verdict: 'refused' | 'blocked' | 'planned';
  readonly run: RunInfo;
}

/** Renders what happens next to a pull request and where it is explained, one line of Markdown. */
export function renderNextStep({ run, ...next }: NextStep): string {
  return renderNext(describeNext(next), { verdict: next.verdict, run });
}

/** What to do about drift: no pull request is there to merge or to label. */
const AFTER_DRIFT: Readonly<Record<NextStep['verdict'], string>> = {
  refused: 'change the inputs, or undo what was changed; no deploy makes these changes.',
  blocked:
    'open a pull request with that label (any edit that is planned), or undo what was changed; until then no deploy makes these changes.',
  planned:
    'open a pull request (any edit that is planned): its plan shows these changes, and its merge makes them.',
};

/** Renders what to do about the drift that a plan shows and where it is explained, one line of Markdown. */
export function renderDriftNextStep({ verdict, run }: Pick<NextStep, 'verdict' | 'run'>): string {
  return renderNext(AFTER_DRIFT[verdict], { verdict, run });
}

function renderNext(text: string, { verdict, run }: Pick<NextStep, 'verdict' | 'run'>): string {
  const page = verdict === 'planned' ? 'review' : 'troubleshooting';
  const label = verdict === 'planned' ? 'What a merge does' : 'What to do';
  const link = renderDocs(label, run, page);
  return `**Next:** ${text}${link === '' ? '' : ` ${link}`}`;
}

function describeNext({ plan, database, backups, verdict }: Omit<NextStep, 'run'>): string {
  switch (verdict) {
    case 'refused':
      return 'change this pull request; nothing of it is applied as it is.';
    case 'blocked':
      return 'allow it or change this pull request; until then a merge changes nothing.';
    case 'planned': {
      if (database.kind === 'unobserved') return 'merging applies this after a look at the nodes.';
      const steps = database.kind === 'steps' ? database.steps : [];
      const dataBytes = backups?.dataBytes ?? null;
      const duration = estimateDuration(steps, { ...readNew(plan), dataBytes });
      const what = steps.some(({ kind }) => kind === 'restore') ? 'restore' : 'copy';
      return duration === null
        ? `merging applies this; how long the ${what} takes depends on the data.`
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
