import { call, ProviderError } from '../api-error.ts';
import { findInstance, startInstance, stopInstance } from '../ec2.ts';
import { type Context, type Resource, text } from '../resource.ts';
import type { Fields } from '../values.ts';

async function bringTo(
  id: string,
  { wanted, force }: { wanted: string; force: boolean },
  context: Context,
): Promise<void> {
  const doing = (verb: string) => `${verb} Instance: EC2 Instance (${id})`;
  const { state } = await call(doing('reading'), 'DescribeInstances', () =>
    findInstance(id, context),
  );
  // The provider waits for an instance in transition (waitInstanceReady) before it requests anything.
  if (state === 'stopping') {
    throw new ProviderError(
      `waiting for EC2 Instance (${id}) ready: timeout while waiting for state to become 'running, stopped' (last state: 'stopping', timeout: 2m0s)`,
    );
  }
  if (wanted === 'running')
    await call(doing('starting'), 'StartInstances', () => startInstance(id, context));
  else await call(doing('stopping'), 'StopInstances', () => stopInstance(id, context, { force }));
}

/** `aws_ec2_instance_state`: create and update start or stop an instance; delete does nothing. */
export const ec2InstanceState: Resource = {
  rules: { forceNew: ['instance_id'], defaults: { force: false } },

  async create(planned, context) {
    const id = text(planned.instance_id);
    await bringTo(id, { wanted: text(planned.state), force: planned.force === true }, context);
    return id;
  },

  read(id, { world, region }): Fields | undefined {
    const found = world.tables.instances[id];
    if (found === undefined || found.region !== region) return undefined;
    return { id, instance_id: id, state: found.state };
  },

  async update(id, { planned }, context) {
    await bringTo(id, { wanted: text(planned.state), force: planned.force === true }, context);
    return undefined;
  },

  delete: async () => {},
};
