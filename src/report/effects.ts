import { EFFECTS, type Effect } from '../cluster/effect.ts';
import { hideInternals, judge, type PlanReport } from './plan-comment.ts';

/** Returns the effects of a pull request. Effects on a database that could not be asked are not among them. */
export function listEffects(report: PlanReport): Effect[] {
  const { plan, database } = hideInternals(report);
  const steps = database.kind === 'steps' ? database.steps : null;
  const isRefused = judge(report) !== 'planned';
  const waits = database.kind === 'steps' && (database.deferral?.deferred.length ?? 0) > 0;
  const does = (...kinds: readonly string[]) => steps?.some(({ kind }) => kinds.includes(kind));
  const holds: Readonly<Record<Effect, boolean | undefined>> = {
    refused: isRefused,
    destroy: plan.counts.destroy + plan.counts.replace > 0,
    switchover: does('switchover'),
    restart: does('restart', 'resize'),
    'no-changes': !plan.hasChanges && !isRefused && steps?.length === 0 && !waits,
  };
  return EFFECTS.filter((effect) => holds[effect]);
}
