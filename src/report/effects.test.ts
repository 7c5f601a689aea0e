import { expect, test } from 'vitest';
import type { Step } from '../cluster/rollout/step.ts';
import { listEffects } from './effects.ts';
import { createPlan } from './fixtures/plan.ts';
import { createPlanReport, permit } from './fixtures/report.ts';
import type { PlanReport } from './plan-comment.ts';

const common = { primary: 'node-1', settings: {} };
const SWITCHOVER: Step = { kind: 'switchover', nodes: ['node-1', 'node-2'], slots: [], ...common };
const RESTART: Step = { kind: 'restart', nodes: ['node-2'], ...common };
const RELOAD: Step = { kind: 'reload', nodes: ['node-2'], ...common };
const RESIZE: Step = { kind: 'resize', nodes: ['node-2'], instanceType: 't3.large' };

const ALLOWED = { permissions: permit(['allow-destroy']) };

const rollout = (...steps: Step[]): PlanReport['database'] => ({
  kind: 'steps',
  primary: 'node-1',
  steps,
  observeAgain: false,
});
const resource = (...actions: string[]) =>
  createPlan([{ address: 'aws_instance.node["1"]', actions }]);

test.each<[string, unknown, Partial<PlanReport>, string[]]>([
  ['nothing', createPlan([]), {}, ['no-changes']],
  ['a reload', createPlan([]), { database: rollout(RELOAD) }, []],
  [
    'restarts',
    createPlan([]),
    { database: rollout(RESTART, SWITCHOVER) },
    ['switchover', 'restart'],
  ],
  ['a larger instance type', resource('update'), { database: rollout(RESIZE) }, ['restart']],
  ['a removed resource', resource('delete'), ALLOWED, ['destroy']],
  ['a removal without the label', resource('delete'), {}, ['refused', 'destroy']],
  [
    'a spent starter',
    createPlan([{ address: 'aws_ec2_instance_state.started["1"]', actions: ['delete'] }]),
    {},
    ['no-changes'],
  ],
  ['a replaced resource', resource('delete', 'create'), ALLOWED, ['destroy']],
  ['a refused plan', resource('delete'), { refusals: ['It holds data.'] }, ['refused', 'destroy']],
  [
    'a refused rollout',
    createPlan([]),
    { database: { kind: 'refused', refusals: ['Two primaries.'] } },
    ['refused'],
  ],
  [
    'a new cluster',
    resource('create'),
    { database: { kind: 'unobserved', notObserved: 'No nodes.', plannedChanges: [] } },
    [],
  ],
  [
    'a removal deferred by an unreachable node',
    createPlan([]),
    {
      database: {
        ...{ kind: 'steps', primary: 'node-1', steps: [], observeAgain: false },
        deferral: { nodes: ['node-2'], deferred: [{ kind: 'remove', nodes: ['node-3'] }] },
      },
    },
    [],
  ],
  [
    'unreachable nodes',
    createPlan([]),
    { database: { kind: 'unobserved', notObserved: 'No route.', plannedChanges: [] } },
    [],
  ],
])('%s', (_, plan, overrides, effects) => {
  expect(listEffects(createPlanReport(plan, overrides))).toEqual(effects);
});
