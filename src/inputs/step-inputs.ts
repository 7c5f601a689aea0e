import { callSchema } from './call-schema.ts';
import { CLUSTER_KEYS, nameInput } from './cluster-schema.ts';

/** Texts by input name. */
export type RawInputs = Readonly<Record<string, string>>;

/** The inputs of the step. */
export interface StepInputs {
  /** What the workflow gave. */
  readonly given: RawInputs;
  /** What action.yml says of the inputs that the workflow did not give; empty texts among them. */
  readonly defaults: RawInputs;
}

/** The names of all inputs. */
export const INPUT_NAMES: readonly string[] = [
  ...CLUSTER_KEYS.map(nameInput),
  ...Object.keys(callSchema.shape),
];

/**
 * Ends every default in action.yml that describes a cluster. A runner passes a default on like a value that was
 * given, and only this tells whether the step and another place say different things. A value that a workflow gives
 * has no space at the end, unless somebody puts it into quotes.
 */
export const DEFAULT_MARK = ' ';

/** Inputs that describe a cluster and have a default: of these an empty text is a value that the workflow gave. */
export const DEFAULTED_INPUTS: ReadonlySet<string> = new Set([
  'cluster-name',
  'instance-type',
  'replica-count',
  'synchronous-replicas',
  'region',
  'image',
  'image-tag',
  'ssh-user',
  'allow-destroy-label',
  'allow-collation-label',
  'allow-slot-loss-label',
  'allow-plan-label',
  'on-plan-change',
  'comment',
  'require-signature',
]);

/** Sorts the inputs, which `read` returns as the runner has them, into given ones and defaults. */
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

/** All inputs with their values, given or not. */
export const mergeStepInputs = ({ given, defaults }: StepInputs): RawInputs => ({
  ...defaults,
  ...given,
});
