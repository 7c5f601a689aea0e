import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { World } from '../world.ts';
import { closeStage, deploy, openStage, readProof, requireSuccess } from './stage.ts';

const INPUTS = { 'instance-type': 't2.small', 'replica-count': '2' };

const bin = mkdtempSync(join(tmpdir(), 'cancel-test-'));
let world: World;
beforeAll(async () => {
  world = await openStage();
});
afterAll(async () => {
  rmSync(bin, { recursive: true, force: true });
  await closeStage(world);
});

/** A PATH whose Ansible never hears an interrupt, as one that Python lost at a bad moment. */
function makeDeafPath(): string {
  const real = execFileSync('sh', ['-c', 'command -v ansible-playbook'], { encoding: 'utf8' });
  const script = `#!/bin/sh\ntrap '' INT\nexec '${real.trim()}' "$@"\n`;
  writeFileSync(join(bin, 'ansible-playbook'), script);
  chmodSync(join(bin, 'ansible-playbook'), 0o755);
  return `${bin}:${process.env.PATH}`;
}

test.each([
  ['stops when asked to', () => process.env.PATH ?? ''],
  ['does not hear the interrupt', makeDeafPath],
])(
  'a job cancelled while an Ansible configures that %s leaves no process and no half-said comment',
  async (_, makePath) => {
    const controller = new AbortController();
    const { result, number } = await deploy(world, `cancelled-${Date.now()}`, INPUTS, {
      runnerEnvironment: 'self-hosted',
      path: makePath(),
      signal: controller.signal,
      onLine: (line) => {
        // The first sign of work on a host; where exactly it stops differs from run to run.
        if (/node-\d.*(prepare|initialise|clone)/i.test(line)) controller.abort();
      },
    });
    expect(controller.signal.aborted).toBe(true);
    expect(result.conclusion).toBe('cancelled');
    expect(result.main?.signal, result.log).toBeNull();
    expect(result.orphans, result.log).toEqual([]);
    expect(result.leftovers).toEqual([]);
    const [comment] = world.github.listComments(number);
    expect(comment?.body).toContain('cancelled while configuring');
  },
);

test('the next run converges', async () => {
  const { result } = await deploy(world, 'rerun', INPUTS);
  expect(readProof(requireSuccess(result)).map(({ role }) => role)).toEqual([
    'primary',
    'replica',
    'replica',
  ]);
});
