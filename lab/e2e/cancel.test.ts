import { afterAll, beforeAll, expect, test } from 'vitest';
import type { World } from '../world.ts';
import { closeStage, deploy, openStage, readProof, requireSuccess } from './stage.ts';

const INPUTS = { 'instance-type': 't2.small', 'replica-count': '2' };

let world: World;
beforeAll(async () => {
  world = await openStage();
});
afterAll(() => closeStage(world));

test('a job cancelled while it configures leaves no process and no half-said comment; a rerun converges', async () => {
  const controller = new AbortController();
  const { result: cancelled, number } = await deploy(world, 'cancelled', INPUTS, {
    runnerEnvironment: 'self-hosted',
    signal: controller.signal,
    onLine: (line) => {
      // The first sign of work on a host; where exactly it stops differs from run to run.
      if (/node-\d.*(prepare|initialise|clone)/i.test(line)) controller.abort();
    },
  });
  expect(controller.signal.aborted).toBe(true);
  expect(cancelled.conclusion).toBe('cancelled');
  expect(cancelled.orphans).toEqual([]);
  expect(cancelled.leftovers).toEqual([]);
  const [comment] = world.github.listComments(number);
  expect(comment?.body).toContain('cancelled while configuring');

  const { result } = await deploy(world, 'rerun', INPUTS);
  expect(readProof(requireSuccess(result)).map(({ role }) => role)).toEqual([
    'primary',
    'replica',
    'replica',
  ]);
});
