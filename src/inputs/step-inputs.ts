import { callSchema } from './call-schema.ts';
import { CLUSTER_KEYS, nameInput } from './cluster-schema.ts';

/** Input values by name. */
export type RawInputs = Readonly<Record<string, string>>;

/** The inputs of the step. */
export interface StepInputs {
  /** Values from the workflow. */
  readonly given: RawInputs;
  /** Defaults from action.yml of the other inputs, including empty ones. */
  readonly defaults: RawInputs;
}

/** The names of all inputs. */
export const INPUT_NAMES: readonly string[] = [
  ...CLUSTER_KEYS.map(nameInput),
  ...Object.keys(callSchema.shape),
];

/**
 * The end of every default in action.yml that describes a cluster. The runner passes defaults like values from the
 * workflow; this mark distinguishes them, so that a default never conflicts with another source. A workflow's value ends
 * with a space only if it is quoted.
 */
export const DEFAULT_MARK = ' ';

/** Inputs that describe a cluster and have a default. If such an input is empty, the workflow emptied it. */
export const DEFAULTED_INPUTS: ReadonlySet<string> = new Set([
  'cluster-name',
  'instance-type',
  'replica-count',
  'synchronous-replicas',
  'region',
  'image',
  'image-tag',
  'ssh-user',
  'internet-via',
  'vpc-cidr',
  'data-volume-size',
  'root-volume-size',
  'clone-from',
  'storage-alert-percent',
  'wait-minutes',
  'allow-destroy-label',
  'allow-collation-label',
  'allow-slot-loss-label',
  'allow-plan-label',
  'on-plan-change',
  'comment',
  'require-signature',
]);

/** Separates values from the workflow and defaults. `read` returns an input as the runner passes it. */
export function separateDefaults(read: (name: string) => string): StepInputs {
  const given: Record<string, string> = {};
  const defaults: Record<string, string> = {};
  for (const name of INPUT_NAMES) {
    const value = read(name);
    const text = value.trim();
    const isDefault = DEFAULTED_INPUTS.has(name)
      ? text !== '' && value.endsWith(DEFAULT_MARK)
      : text === '';
    (isDefault ? defaults : given)[name] = text;
  }
  return { given, defaults };
}

/** Returns all inputs, with defaults for those that the workflow does not set. */
export const mergeStepInputs = ({ given, defaults }: StepInputs): RawInputs => ({
  ...defaults,
  ...given,
});
