import { quoteValue } from '../messages/quote-value.ts';
import { COMMANDS, type Command, type Intent } from '../runner/intent.ts';
import { buildInputs } from './build-inputs.ts';
import { REPAIR_KEYS, type RepairKey } from './call-schema.ts';
import { checkDescription } from './check-description.ts';
import { buildIdentity, type ClusterIdentity } from './cluster-identity.ts';
import { combineSources, readOptionalFile } from './combine.ts';
import type { Description } from './description.ts';
import { type FileInput, selectUsable } from './file-origin.ts';
import type { Inputs } from './inputs.ts';
import { type Bodies, nameBodyKey, readBodies } from './request-body.ts';
import { createRedactor, listSecretParts, listSecrets } from './secrets.ts';
import { mergeStepInputs, type RawInputs, type StepInputs } from './step-inputs.ts';

/** The inputs, or every problem found in them. */
export type InputResult =
  | {
      readonly inputs: Inputs;
      readonly problems: readonly [];
      /** A sentence for each group of values that a plan does not take from the pull request. */
      readonly notes: readonly string[];
    }
  | {
      readonly inputs: null;
      readonly problems: readonly string[];
      /** Null if too little of it is valid. */
      readonly cluster: ClusterIdentity | null;
    };

/** Returns the command; null if it is unknown, which `readInputs` reports with all other problems. */
export function readCommand(inputs: RawInputs): Command | null {
  const command = inputs.command ?? '';
  return (COMMANDS as readonly string[]).includes(command) ? (command as Command) : null;
}

/**
 * Checks all inputs at once. The intent of the run decides which ones are required: secrets only where they are used.
 * Writes, starts and sends nothing.
 */
export function readInputs(
  { step, file }: { step: StepInputs; file: FileInput | null },
  intent: Intent,
): InputResult {
  const values = mergeStepInputs(step);
  const bodies = readBodies(values.request ?? '', intent);
  const repair = findRepairValues(values, bodies);
  const call = { ...values, ...repair.values };
  const combine = (fileValues: Description) => combineSources({ step, bodies }, fileValues);
  const whole = combine(readOptionalFile(file?.file ?? null));
  const usable = file === null ? null : selectUsable(file, { whole, combine, step });
  const used = usable?.used ?? whole;

  const path = file?.file.path ?? null;
  // A value that seems to be missing may be in the part that could not be read.
  const isPartial = file !== null && file.file.problems.length > 0;
  const purpose = { call, repairNames: repair.names, intent, path, isPartial };
  const problems = [
    ...(file?.file.problems ?? []),
    ...bodies.request.problems,
    ...bodies.event.problems,
    ...findRepairConflicts(values, bodies),
    ...(usable?.problems ?? []),
    ...checkDescription(whole, purpose),
  ];
  // Problems of the other version are reported only if this one has none.
  if (problems.length === 0 && usable !== null) {
    const others = checkDescription(used, { ...purpose, path: usable.path });
    problems.push(...others.map((problem) => `${problem}${usable.remark}`));
  }
  if (problems.length > 0) {
    const redact = createRedactor([
      ...listSecrets(values),
      ...(file?.file.secrets ?? []).flatMap(listSecretParts),
    ]);
    return {
      inputs: null,
      problems: problems.map(redact),
      // An invalid path still names a file, whose cluster is not the one with the default name.
      cluster: buildIdentity(used.description, path ?? (values['cluster-file'] || null)),
    };
  }
  return {
    problems: [],
    notes: usable?.notes ?? [],
    inputs: buildInputs(used.description, {
      ...{ call, path },
      ...{ blank: usable?.blank ?? false, isRestoreNew: usable?.isRestoreNew ?? false },
    }),
  };
}

/** Compares the input `request` with single inputs. An event's body overrides both. */
function findRepairConflicts(values: RawInputs, { request, event }: Bodies): string[] {
  return REPAIR_KEYS.flatMap((key) => {
    const [asked, given = ''] = [request.values[key], values[key]];
    if (event.values[key] !== undefined || asked === undefined) return [];
    if (given === '' || given === asked) return [];
    const name = nameBodyKey('request', key);
    return [
      `${name}: ${quoteValue(asked)} is not what the input ${key} says, which is ${quoteValue(given)}. Give it in one place.`,
    ];
  });
}

/** Returns the inputs of a failover, a replacement or a deletion from the source with precedence, and their names in messages. */
function findRepairValues(
  values: RawInputs,
  { request, event }: Bodies,
): { values: Record<RepairKey, string>; names: Record<RepairKey, string> } {
  const bodies = [
    { body: 'client_payload', given: event.values },
    { body: 'request', given: request.values },
  ] as const;
  const found = REPAIR_KEYS.map((key) => {
    const [first] = bodies.flatMap(({ body, given }) =>
      given[key] === undefined ? [] : [{ text: given[key], name: nameBodyKey(body, key) }],
    );
    return [key, first ?? { text: values[key] ?? '', name: key }] as const;
  });
  const pick = (part: 'text' | 'name') =>
    Object.fromEntries(found.map(([key, one]) => [key, one[part]])) as Record<RepairKey, string>;
  return { values: pick('text'), names: pick('name') };
}
