import { join } from 'node:path';
import * as core from '@actions/core';
import { describeDesired } from '../cluster/desired.ts';
import { type Rollout, rollout } from '../cluster/rollout.ts';
import { UserError } from '../errors.ts';
import { requireSight } from '../operations/configure.ts';
import { type NodeAccess, Nodes } from '../operations/nodes.ts';
import type { PlanResult } from '../operations/plan.ts';
import { describeNodes, findUnseenLosses } from '../terraform/stage.ts';
import { explainHalted } from '../terraform/standing.ts';
import type { Job } from './job.ts';
import { logGroup } from './log-group.ts';

/** How long a node may take to answer when it is only looked at. */
const LOOK_SECONDS = 20;

/** The rollout that a plan brings with it, or why it cannot be told. */
export type Preview = Rollout | { readonly notObserved: string };

/**
 * What the database will go through: the nodes that stand are looked at, those that the plan makes are
 * taken for what they will be. Changes nothing.
 */
export async function previewRollout(job: Job, plan: PlanResult): Promise<Preview> {
  const { spec } = job.request;
  const changes = describeNodes(plan.summary);
  const losses = findUnseenLosses(plan.summary);
  if (losses.length > 0) return { refusals: losses };
  const halted = explainHalted(plan.standing);
  if (halted.length > 0) return { refusals: halted };
  const { memoryMib } = plan;
  const standing = plan.standing.nodes;
  const there = standing.filter(({ name }) => !changes.replace.includes(name));
  const desired = describeDesired(spec, {
    standing,
    instanceType: spec.instanceType,
    memoryMib,
  });
  if (there.length === 0) {
    // Of a blank volume all is known; what lies on one that was there before must be seen.
    const isBlank = desired.nodes.every(({ name }) => changes.fresh.includes(name));
    return isBlank
      ? rollout([], desired)
      : { notObserved: 'the instances are made anew, and their volumes can be looked at then.' };
  }
  const access = accessNodes(job);
  if (access === null) return { notObserved: 'without ssh-private-key nobody can log in.' };
  const nodes = new Nodes(access);
  try {
    const sighting = await logGroup('Look at the nodes', () =>
      nodes.observe(there, { desired, waitSeconds: LOOK_SECONDS }),
    );
    return rollout(requireSight(sighting, desired), desired);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { notObserved: error.message };
  } finally {
    await nodes.close();
  }
}

/** What it takes to log in; null without a key. */
export function accessNodes(job: Job): NodeAccess | null {
  const { workspace, keys, request, actionRoot } = job;
  if (!keys || request.secrets.sshPrivateKey === '') return null;
  return {
    request,
    keys,
    directory: workspace.directory,
    temporary: workspace.temporary,
    playbooks: join(actionRoot, 'playbooks'),
    log: core.info,
  };
}
