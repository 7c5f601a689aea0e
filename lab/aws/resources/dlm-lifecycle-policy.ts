import { ApiError, call } from '../api-error.ts';
import { trustsService } from '../iam.ts';
import type { LifecyclePolicy } from '../lifecycle.ts';
import {
  type Context,
  firstBlock,
  numberOrNull,
  type Problem,
  type Resource,
  readTags,
  text,
  texts,
} from '../resource.ts';
import { type Fields, isFields } from '../values.ts';
import { ACCOUNT, makeId } from '../world.ts';

/** Service Quotas, "Amazon Data Lifecycle Manager": policies of a region. */
const QUOTA = 100;
/** DLM API Reference, "CreateRule": hours between snapshots. */
const INTERVALS = [1, 2, 3, 4, 6, 8, 12, 24];
const DETAILS = 'policy_details';

const isIn = (value: number | null, from: number, to: number) =>
  value === null || (value >= from && value <= to);

/** What the provider refuses before it asks AWS. */
function findProblems(config: Fields): Problem[] {
  const details = firstBlock(config[DETAILS]);
  const schedule = firstBlock(details.schedule);
  const rule = firstBlock(schedule.create_rule);
  const interval = numberOrNull(rule.interval);
  const refusals: readonly (readonly [boolean, string, string])[] = [
    [
      typeof config.description === 'string' && !/^[0-9A-Za-z _-]{1,500}$/.test(config.description),
      'description',
      'invalid value for description (see https://docs.aws.amazon.com/cli/latest/reference/dlm/create-lifecycle-policy.html)',
    ],
    [
      interval !== null && !INTERVALS.includes(interval),
      DETAILS,
      `expected interval to be one of [${INTERVALS.join(' ')}]`,
    ],
    [
      texts(rule.times).some((time) => !/^([01]\d|2[0-3]):[0-5]\d$/.test(time)),
      DETAILS,
      'invalid value for times',
    ],
    [
      !isIn(numberOrNull(firstBlock(schedule.retain_rule).count), 1, 1000),
      DETAILS,
      'expected count to be in the range (1 - 1000)',
    ],
  ];
  return refusals
    .filter(([isRefused]) => isRefused)
    .map(([, attribute, summary]) => ({ summary, detail: '', attribute }));
}

function readPolicy(
  planned: Fields,
): Pick<LifecyclePolicy, 'description' | 'role' | 'enabled' | 'targetTags' | 'schedule'> {
  const details = firstBlock(planned[DETAILS]);
  const schedule = firstBlock(details.schedule);
  const rule = firstBlock(schedule.create_rule);
  return {
    description: text(planned.description),
    role: text(planned.execution_role_arn),
    enabled: text(planned.state) !== 'DISABLED',
    targetTags: isFields(details.target_tags)
      ? (details.target_tags as Record<string, string>)
      : {},
    schedule: {
      name: text(schedule.name),
      copyTags: schedule.copy_tags === true,
      interval: numberOrNull(rule.interval) ?? 0,
      times: texts(rule.times),
      count: numberOrNull(firstBlock(schedule.retain_rule).count) ?? 0,
    },
  };
}

/** Why DLM refuses a policy; null if it does not. The texts but the first are the lab's own: AWS documents none. */
function explainRefusal(
  { role, targetTags, schedule }: ReturnType<typeof readPolicy>,
  { world }: Context,
): string | null {
  const tags = Object.entries(targetTags);
  if (tags.length === 0) return 'The following required parameter(s) are missing: {TargetTags}';
  const isTag = ([key, value]: [string, string]) =>
    key.length >= 1 && key.length <= 128 && value.length <= 256 && !key.startsWith('aws:');
  if (tags.length > 50 || !tags.every(isTag)) return 'Invalid target tags';
  if (schedule.count === 0) return 'The lab has schedules that retain by count only';
  const found = Object.values(world.tables.roles).find(({ arn }) => arn === role);
  if (found === undefined) return `The role ${role} does not exist`;
  return trustsService(found, 'dlm.amazonaws.com')
    ? null
    : `The role ${role} cannot be assumed by dlm.amazonaws.com`;
}

function refusePolicy(policy: ReturnType<typeof readPolicy>, context: Context): void {
  const reason = explainRefusal(policy, context);
  if (reason !== null) throw new ApiError('InvalidRequestException', reason);
}

/**
 * `aws_dlm_lifecycle_policy` for snapshots of volumes, with one schedule that retains by count. It makes none by itself.
 * The real provider repeats a refused request for two minutes, because a new role is not known everywhere at once.
 */
export const dlmLifecyclePolicy: Resource = {
  rules: {
    forceNew: [`${DETAILS}.schedule.copy_tags`],
    defaults: { state: 'ENABLED', [`${DETAILS}.policy_type`]: 'EBS_SNAPSHOT_MANAGEMENT' },
  },

  validate(config): Problem[] {
    const { schedule, resource_types } = firstBlock(config[DETAILS]);
    if (!Array.isArray(schedule) || schedule.length !== 1 || texts(resource_types)[0] !== 'VOLUME')
      return [{ summary: 'The lab has policies with one schedule, for volumes', detail: '' }];
    return findProblems(config);
  },

  async create(planned, context, record) {
    const { world, region } = context;
    const policy = readPolicy(planned);
    await call('creating DLM Lifecycle Policy', 'DLM:CreateLifecyclePolicy', () => {
      refusePolicy(policy, context);
      const own = Object.values(world.tables.lifecyclePolicies).filter(
        (one) => one.region === region,
      );
      if (own.length < QUOTA) return;
      throw new ApiError('LimitExceededException', `You have ${QUOTA} policies`);
    });
    const id = makeId('policy');
    world.tables.lifecyclePolicies[id] = { id, region, tags: readTags(planned), ...policy };
    record(id);
    return id;
  },

  read(id, { world, region }, recorded) {
    const found = world.tables.lifecyclePolicies[id];
    if (found === undefined || found.region !== region) return undefined;
    const { schedule } = found;
    const [before] = Array.isArray(recorded[DETAILS]) ? recorded[DETAILS] : [];
    const details = isFields(before) ? before : {};
    const times = firstBlock(details.schedule);
    return {
      id,
      arn: `arn:aws:dlm:${region}:${ACCOUNT}:policy/${id}`,
      description: found.description,
      execution_role_arn: found.role,
      state: found.enabled ? 'ENABLED' : 'DISABLED',
      [DETAILS]: [
        {
          ...details,
          policy_language: 'STANDARD',
          resource_locations: ['CLOUD'],
          target_tags: { ...found.targetTags },
          schedule: [
            {
              ...times,
              name: schedule.name,
              copy_tags: schedule.copyTags,
              create_rule: [
                {
                  ...firstBlock(times.create_rule),
                  interval: schedule.interval,
                  interval_unit: 'HOURS',
                  location: '',
                  times: [...schedule.times],
                },
              ],
              retain_rule: [{ ...firstBlock(times.retain_rule), count: schedule.count }],
            },
          ],
        },
      ],
    };
  },

  async update(id, { planned }, context) {
    const policy = readPolicy(planned);
    await call(`updating DLM Lifecycle Policy (${id})`, 'DLM:UpdateLifecyclePolicy', () => {
      refusePolicy(policy, context);
      const found = context.world.tables.lifecyclePolicies[id];
      if (found !== undefined) Object.assign(found, policy);
    });
    return undefined;
  },

  // The snapshots stay (Amazon EBS User Guide, "Delete Amazon Data Lifecycle Manager policies").
  async delete(id, _recorded, { world }) {
    delete world.tables.lifecyclePolicies[id];
  },

  tags: (id, { world }) => world.tables.lifecyclePolicies[id],
};
