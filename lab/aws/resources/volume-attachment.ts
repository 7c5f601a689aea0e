import { ApiError, call, ProviderError } from '../api-error.ts';
import { attachVolume, detachVolume, stopInstance } from '../ec2.ts';
import { type Context, type Resource, text } from '../resource.ts';
import type { Fields } from '../values.ts';
import { deriveId } from '../world.ts';

// The real provider waits for five minutes; in the lab twenty seconds show the same.
const DETACH_TIMEOUT_MS = 20_000;

async function waitForDetachment(recorded: Fields, context: Context): Promise<void> {
  const volume = text(recorded.volume_id);
  const instance = text(recorded.instance_id);
  const deadline = Date.now() + DETACH_TIMEOUT_MS;
  const force = recorded.force_detach === true;
  while (!(await detachVolume({ volume, force }, context))) {
    if (Date.now() > deadline) {
      throw new ProviderError(
        `waiting for EBS Volume (${volume}) Attachment (${instance}) delete: timeout while waiting for state to become 'detached' (last state: 'busy', timeout: 5m0s)`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** `aws_volume_attachment`; a mounted volume stays busy, as on EC2. */
export const volumeAttachment: Resource = {
  rules: { forceNew: ['device_name', 'instance_id', 'volume_id'] },

  async create(planned, context) {
    const volume = text(planned.volume_id);
    const instance = text(planned.instance_id);
    const device = text(planned.device_name);
    // The real provider adopts an attachment that is already as requested.
    const present = context.world.tables.volumes[volume]?.attachment;
    if (present?.instance !== instance || present.device !== device) {
      await call(
        `attaching EBS Volume (${volume}) to EC2 Instance (${instance})`,
        'AttachVolume',
        () => attachVolume({ volume, instance, device }, context),
      );
    }
    return deriveId('vai', device, instance, volume);
  },

  read(id, { world }, recorded) {
    const attachment = world.tables.volumes[text(recorded.volume_id)]?.attachment;
    if (attachment?.instance !== recorded.instance_id) return undefined;
    return { id, device_name: attachment?.device ?? null };
  },

  // Its other arguments affect only the deletion.
  update: async () => undefined,

  async delete(_id, recorded, context) {
    if (recorded.skip_destroy === true) return;
    const volume = context.world.tables.volumes[text(recorded.volume_id)];
    const instance = text(recorded.instance_id);
    if (volume?.attachment?.instance !== instance) return;
    if (recorded.stop_instance_before_detaching === true) {
      await call(`stopping EC2 Instance (${instance})`, 'StopInstances', () =>
        stopInstance(instance, context),
      );
    }
    try {
      await waitForDetachment(recorded, context);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      await call(
        `detaching EBS Volume (${volume.id}) from EC2 Instance (${instance})`,
        'DetachVolume',
        () => {
          throw error;
        },
      );
    }
  },
};
