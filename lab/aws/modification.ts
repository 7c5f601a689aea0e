import { ApiError, ProviderError } from './api-error.ts';
import { findVolume } from './ec2.ts';
import type { Context } from './resource.ts';
import { refuseShape } from './volume-shape.ts';
import type { Modification, Volume, VolumeShape } from './world.ts';

const DAY_MS = 24 * 3600 * 1000;
/** EBS User Guide, "Requirements for EBS volume modifications". */
const PER_DAY = 4;
const POLL_MS = 100;

/** The volume's latest modification. */
export const findLatest = ({ modifications }: Volume): Modification | undefined =>
  modifications.at(-1);

/**
 * ModifyVolume. A volume only grows, is modified at most four times in 24 hours, and not while it is `modifying` or
 * `optimizing`. Returns when EC2 accepted the request, with the volume unchanged.
 */
export async function modifyVolume(
  id: string,
  wanted: Partial<VolumeShape>,
  context: Context,
): Promise<void> {
  await advanceModifications(context);
  const { world } = context;
  const volume = findVolume(id, context);
  const { type, size, iops, throughput } = volume;
  const from: VolumeShape = { type, size, iops, throughput };
  const to: VolumeShape = { ...from, ...wanted };
  if (to.size < size) {
    throw new ApiError('InvalidParameterValue', 'New size cannot be smaller than existing size');
  }
  refuseShape(to);
  const latest = findLatest(volume);
  if (latest?.state === 'modifying' || latest?.state === 'optimizing') {
    throw new ApiError(
      'IncorrectModificationState',
      `Volume ${id} cannot be modified in modification state ${latest.state.toUpperCase()}`,
    );
  }
  const now = world.clock.now();
  const fourth = volume.modifications.at(-PER_DAY);
  if (fourth !== undefined && now - fourth.started < DAY_MS) {
    const free = new Date(fourth.started + DAY_MS).toISOString();
    throw new ApiError(
      'VolumeModificationRateExceeded',
      `You've reached the maximum modification rate per volume limit. Wait until ${free} before you can issue the next modification request for this volume.`,
    );
  }
  const { modifyingMs, optimizingMs, failing } = world.tables.ebs;
  volume.modifications.push({
    state: 'modifying',
    from,
    to,
    started: now,
    optimizes: now + modifyingMs,
    ends: now + modifyingMs + optimizingMs,
    fails: failing[id] ?? null,
  });
  delete failing[id];
  world.save();
}

/**
 * Brings every modification to its present state. A new size is visible, and the device grows, when the state becomes
 * `optimizing`. AWS does not say what a modification leaves that fails after that; here DescribeVolumes shows the old
 * values again, and the device keeps its size.
 */
export async function advanceModifications({
  world,
  compute,
}: Pick<Context, 'world' | 'compute'>): Promise<void> {
  const now = world.clock.now();
  for (const volume of Object.values(world.tables.volumes)) {
    const latest = findLatest(volume);
    if (latest?.state === 'modifying' && now >= latest.optimizes) {
      if (latest.fails === 'modifying') {
        Object.assign(latest, { state: 'failed', ends: latest.optimizes });
      } else {
        latest.state = 'optimizing';
        Object.assign(volume, latest.to);
        await compute.growVolume(volume);
      }
      world.save();
    }
    if (latest?.state === 'optimizing' && now >= latest.ends) {
      latest.state = latest.fails === 'optimizing' ? 'failed' : 'completed';
      if (latest.state === 'failed') Object.assign(volume, latest.from);
      world.save();
    }
  }
}

/** Modifications go on without a request; returns a function that ends this. */
export function startModifications(
  context: Pick<Context, 'world' | 'compute'>,
): () => Promise<void> {
  let current = Promise.resolve();
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    current = advanceModifications(context)
      .catch((error) => console.error(`lab/aws: modification of a volume: ${error}`))
      .finally(() => {
        isBusy = false;
      });
  }, 2 * POLL_MS);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await current;
  };
}

/** How far a modification is, in percent. */
export function measureProgress({ state, optimizes, ends }: Modification, now: number): number {
  if (state === 'completed') return 100;
  if (state !== 'optimizing') return 0;
  return Math.min(99, Math.floor((100 * (now - optimizes)) / (ends - optimizes)));
}

/** How long `aws_ebs_volume` waits before it reads the volume again; ten seconds in the real provider. */
const SETTLE_MS = 2000;
/** How long `aws_instance` waits for its root volume. */
const ROOT_MS = 30_000;
/**
 * The wait of `aws_ebs_volume` (`waitVolumeUpdated`): for the state of the volume, which is `in-use` all the time, and
 * not for the modification. One that is still `modifying` by then leaves the old size in Terraform's state.
 */
export function awaitVolume(id: string, context: Context): Promise<unknown> {
  return awaitModification(id, context, SETTLE_MS);
}

/**
 * The wait of `aws_instance` (`waitVolumeModificationComplete`): until the modification is `optimizing` or `completed`.
 * Throws the provider's error if it fails or takes too long.
 */
export async function awaitRootVolume(
  id: string,
  { doing, context }: { doing: string; context: Context },
): Promise<void> {
  const state = await awaitModification(id, context, ROOT_MS);
  if (state === 'optimizing' || state === 'completed') return;
  const problem =
    state === 'failed'
      ? "unexpected state 'failed', wanted target 'completed, optimizing'. last error: "
      : "timeout while waiting for state to become 'completed, optimizing' (last state: 'modifying', timeout: 10m0s)";
  throw new ProviderError(`${doing}: ${problem}`);
}

async function awaitModification(
  id: string,
  context: Context,
  limitMs: number,
): Promise<Modification['state'] | undefined> {
  const { clock } = context.world;
  const deadline = clock.now() + limitMs;
  for (;;) {
    await advanceModifications(context);
    const state = findLatest(findVolume(id, context))?.state;
    if (state !== 'modifying' || clock.now() >= deadline) return state;
    await clock.sleep(POLL_MS);
  }
}
