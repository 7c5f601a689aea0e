import { afterAll, beforeAll, expect, test } from 'vitest';
import { query } from '../client.ts';
import type { World } from '../world.ts';
import { closeStage, openStage, readProof, readServers, requireSuccess } from './stage.ts';

let world: World;
beforeAll(async () => {
  // Like the public machine image: without Docker. The runner has this machine's Ansible: 2.14 on Debian 12.
  world = await openStage({ plainHosts: true, ownAnsible: true });
});
afterAll(() => closeStage(world));

test('the four operations work alone through repository_dispatch, on hosts without Docker', async () => {
  const dispatch = async (type: string, body: Record<string, unknown> = {}) =>
    requireSuccess(await world.run(world.github.dispatch(type, body)));

  const generated = await dispatch('generate-terraform', {
    instance_type: 't2.small',
    replica_count: 2,
    region: 'us-east-1',
  });
  const planned = await dispatch('generate-terraform-plan');
  expect(planned.outputs['terraform-directory']).toBe(generated.outputs['terraform-directory']);
  const plan = JSON.parse(planned.files['plan-json'] ?? '');
  expect(plan.planned_values.root_module.resources.length).toBeGreaterThan(10);

  const applied = await dispatch('generate-terraform-apply');
  const apply = JSON.parse(applied.files['apply-json'] ?? '');
  expect(apply.outputs.nodes.value).toHaveLength(3);

  const configured = await dispatch('apply_ansible_configuration', {
    replica_count: 2,
    max_connections: 200,
    shared_buffers: '256MB',
    region: 'us-east-1',
    image_tag: '14-alpine',
  });
  expect(configured.files.inventory).toMatch(/^node-1 ansible_host=/m);
  expect(readProof(configured).map(({ role }) => role)).toEqual(['primary', 'replica', 'replica']);
  const { primary, replicas } = readServers(world, configured);
  for (const server of [primary, ...replicas]) {
    expect(await query(server, 'SHOW max_connections')).toBe('200');
    expect(await query(server, 'SHOW shared_buffers')).toBe('256MB');
    expect(await query(server, 'SHOW server_version')).toMatch(/^14\./);
  }
});

test('configure says what is missing if more nodes are requested than exist', async () => {
  const body = { replica_count: 5, region: 'us-east-1' };
  const result = await world.run(world.github.dispatch('apply_ansible_configuration', body));
  expect(result.conclusion).toBe('failure');
  expect(result.annotations.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(
      /^replica-count: 5 asks for 6 nodes, Terraform's state has 3\. Run apply first/,
    ),
  );
});
