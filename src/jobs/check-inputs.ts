import * as core from '@actions/core';
import type { FileInput } from '../inputs/file-origin.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { readInputs } from '../inputs/read-inputs.ts';
import { RefusedInputsError } from '../inputs/refused-inputs-error.ts';
import { combineKeys, type PublicKeys, readPublicKeys, SUBSTITUTE_KEY } from '../inputs/ssh-key.ts';
import type { StepInputs } from '../inputs/step-inputs.ts';
import type { RunnerEnvironment } from '../runner/environment.ts';
import { type Intent, isConfiguring } from '../runner/intent.ts';

/** Inputs without problems. */
interface CheckedInputs {
  readonly inputs: Inputs;
  /** Null only if the run needs no key and has none. */
  readonly keys: PublicKeys | null;
  /** Sentences for the report. */
  readonly notes: readonly string[];
}

/**
 * Checks all inputs and derives the public keys. A review without secrets gets a substitute key.
 *
 * @throws RefusedInputsError with all problems at once
 */
export async function checkInputs(
  step: StepInputs,
  {
    file,
    intent,
    environment,
  }: { file: FileInput | null; intent: Intent; environment: RunnerEnvironment },
): Promise<CheckedInputs> {
  const checked = readInputs({ step, file }, intent);
  const { notes, inputs } = checked.inputs === null ? { notes: [], inputs: null } : checked;
  const privateKey = step.given['ssh-private-key'] ?? '';
  const result = privateKey === '' ? null : await readPublicKeys(privateKey, environment.temporary);
  const combined = combineKeys({
    publicKey: inputs?.sshPublicKey ?? null,
    fromPrivate: result && 'keys' in result ? result.keys : null,
    configures: isConfiguring(intent),
  });
  const keyProblem = result && 'problem' in result ? result : combined;
  const problems = [...checked.problems, ...('problem' in keyProblem ? [keyProblem.problem] : [])];
  if (inputs === null || problems.length > 0 || 'problem' in combined) {
    throw new RefusedInputsError(problems, checked.inputs === null ? checked.cluster : null);
  }
  if (combined.keys !== null || intent.kind !== 'review' || intent.withoutSecrets === null) {
    return { inputs, keys: combined.keys, notes };
  }
  core.warning(
    `ssh-private-key: GitHub withholds secrets from ${intent.withoutSecrets}, so this plan uses a substitute key. What it shows for the key pair is not what a merge would do.`,
  );
  return { inputs, keys: { current: SUBSTITUTE_KEY, retired: [] }, notes };
}
