import { z } from 'zod';
import type { NodeObservation } from '../cluster/observation.ts';
import type { NodeProof } from '../cluster/proof.ts';

const setting = z.object({
  setting: z.string(),
  unit: z.string().nullable(),
  context: z.string(),
  type: z.string(),
  min: z.string().nullable(),
  max: z.string().nullable(),
  words: z.array(z.string()),
  default: z.string().nullable(),
  fromFile: z.boolean(),
});

const observation = z.object({
  name: z.string(),
  host: z.object({
    dockerVersion: z.string().nullable(),
    dockerReady: z.boolean(),
    imageReady: z.boolean(),
    imageDigest: z.string().nullable(),
    memoryMib: z.number().int(),
    authorizedKeysCurrent: z.boolean(),
  }),
  volume: z.object({
    device: z.string().nullable(),
    filesystem: z.string().nullable(),
    ready: z.boolean(),
  }),
  data: z.enum(['absent', 'partial', 'unrecorded', 'complete']),
  standby: z.boolean(),
  record: z
    .object({
      major: z.number().int(),
      libc: z.enum(['glibc', 'musl']),
      image: z.string(),
      digest: z.string(),
      locale: z.string(),
      systemIdentifier: z.string(),
    })
    .nullable(),
  container: z.object({ state: z.string(), current: z.boolean() }).nullable(),
  files: z.object({ postgresqlConf: z.string().nullable(), pgHba: z.string().nullable() }),
  overrides: z.record(z.string(), z.string()),
  control: z.object({ state: z.string(), timeline: z.number().int(), lsn: z.string() }).nullable(),
  upstreamAnswers: z.boolean().nullable(),
  postgres: z
    .object({
      inRecovery: z.boolean(),
      systemIdentifier: z.string(),
      timeline: z.number().int(),
      history: z.array(z.object({ timeline: z.number().int(), switchLsn: z.string() })),
      oldestLsn: z.string(),
      version: z.number().int(),
      settings: z.record(z.string(), setting),
      filesLoaded: z.boolean(),
      slots: z.array(
        z.object({ name: z.string(), active: z.boolean(), walStatus: z.string().nullable() }),
      ),
      senders: z.array(
        z.object({
          applicationName: z.string(),
          state: z.string(),
          syncState: z.string(),
          replayLsn: z.string().nullable(),
        }),
      ),
      receiver: z
        .object({
          status: z.string(),
          senderHost: z.string().nullable(),
          slotName: z.string().nullable(),
        })
        .nullable(),
      replayPaused: z.boolean(),
      lsn: z.string(),
      passwordsCurrent: z.boolean().nullable(),
    })
    .nullable(),
}) satisfies z.ZodType<NodeObservation>;

const proof = z.object({
  name: z.string(),
  role: z.enum(['primary', 'replica']),
  address: z.string(),
  state: z.string(),
  timeline: z.number().int().nullable(),
  lsn: z.string().nullable(),
  lagBytes: z.number().nullable(),
  lagSeconds: z.number().nullable(),
  replayPaused: z.boolean(),
  tokenRead: z.boolean(),
  slot: z.string().nullable(),
  systemIdentifier: z.string().nullable(),
  problem: z.string().nullable(),
}) satisfies z.ZodType<NodeProof>;

const schema = z.object({
  observations: z.array(observation),
  proof: z.array(proof),
  stats: z.record(
    z.string(),
    z.object({
      ok: z.number(),
      changed: z.number(),
      failures: z.number(),
      unreachable: z.number(),
    }),
  ),
  changes: z.array(z.object({ node: z.string(), step: z.string(), task: z.string() })),
  failures: z.array(
    z.object({
      node: z.string(),
      task: z.string(),
      message: z.string(),
      /** The server's own last lines where it did not start, else empty. */
      log: z.string(),
    }),
  ),
  /** What people should know of what was done, e.g. where data was kept. */
  notes: z.array(z.object({ node: z.string(), note: z.string() })),
});

/** What one run of a playbook reported through the callback plugin in `playbooks/callback_plugins`. */
export type AnsibleResult = z.infer<typeof schema>;

/** Reads the report; throws ZodError when playbook and action do not belong together. */
export function parseResult(json: string): AnsibleResult {
  return schema.parse(JSON.parse(json));
}
