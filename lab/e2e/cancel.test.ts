import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chooseRows } from '../nightly.ts';
import { wrapProgram } from '../tools/wrap-program.ts';
import type { World } from '../world.ts';
import { closeStage, deploy, openStage, readProof, requireSuccess } from './stage.ts';

/** Private nodes: the endpoint alone leads to them, and a NAT gateway alone to packages and images. */
const INPUTS = {
  'instance-type': 't2.small',
  'replica-count': '1',
  'internet-via': 'nat-gateway',
};

const folder = mkdtempSync(join(tmpdir(), 'cancel-test-'));
let world: World;
beforeAll(async () => {
  world = await openStage({ sshVia: 'instance-connect-endpoint' });
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await closeStage(world);
});

test.each(
  chooseRows(
    // As after Python lost it at an unfavourable moment.
    [['ignores the interrupt', "trap '' INT"]],
    [['stops on the interrupt', '']],
  ),
)(
  'a job cancelled while it configures leaves no process and no incomplete comment when Ansible %s',
  async (_, before) => {
    const controller = new AbortController();
    const { result, number } = await deploy(world, `cancelled-${Date.now()}`, INPUTS, {
      runnerEnvironment: 'self-hosted',
      path: wrapProgram({ folder, program: 'ansible-playbook', before, path: world.path }),
      signal: controller.signal,
      onLine: (line) => {
        // The first sign of work on a host; where exactly it stops differs between runs.
        if (/node-\d.*(prepare|initialise|clone)/i.test(line)) controller.abort();
      },
    });
    expect(controller.signal.aborted).toBe(true);
    expect(result.conclusion).toBe('cancelled');
    expect(result.main?.signal, result.log).toBeNull();
    expect(result.orphans, result.log).toEqual([]);
    expect(result.leftovers).toEqual([]);
    const errors = result.annotations.filter(({ level }) => level === 'error');
    expect(errors[0]?.message).toMatch(
      /cancelled while running ansible-playbook site\.yml\. Run it again/,
    );
    const [comment] = world.github.listComments(number);
    expect(comment?.body).toContain('cancelled while configuring');
  },
);

test('the next run converges', async () => {
  const { result } = await deploy(world, 'rerun', INPUTS);
  expect(readProof(requireSuccess(result)).map(({ role }) => role)).toEqual(['primary', 'replica']);
  expect(world.aws.listInstances().map(({ publicIp }) => publicIp)).toEqual([null, null]);
});
