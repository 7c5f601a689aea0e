import type { Contexts } from './expression.ts';
import { evaluateText } from './expression.ts';
import type { ActionMetadata } from './metadata.ts';

/** A step's `with`. */
export type GivenInputs = Readonly<Record<string, string>>;

/** Completes a step's inputs with the action's defaults; names are not case-sensitive. */
export function resolveInputs(step: {
  action: ActionMetadata;
  given: GivenInputs;
  contexts: Contexts;
}): Record<string, string> {
  const inputs: Record<string, string> = { ...step.given };
  for (const [name, input] of Object.entries(step.action.inputs)) {
    if (Object.keys(step.given).some((given) => isSame(given, name))) continue;
    inputs[name] = evaluateText(input.default ?? '', step.contexts);
  }
  return inputs;
}

/** Returns GitHub's warnings before an action starts: deprecated inputs and unknown ones. */
export function listInputWarnings(action: ActionMetadata, given: GivenInputs): string[] {
  const valid = Object.entries(action.inputs);
  const names = Object.keys(given);
  const warnings = names.flatMap((name) => {
    const message = valid.find(([own]) => isSame(own, name))?.[1].deprecationMessage;
    return message === undefined
      ? []
      : [`Input '${name}' has been deprecated with message: ${message}`];
  });
  const unexpected = names.filter((name) => !valid.some(([own]) => isSame(own, name)));
  if (unexpected.length > 0) {
    const list = valid.map(([own]) => own).join("', '");
    warnings.push(`Unexpected input(s) '${unexpected.join("', '")}', valid inputs are ['${list}']`);
  }
  return warnings;
}

/** Turns inputs into variables: INPUT_, blanks become underscores, dashes stay. */
export function buildInputVariables(inputs: GivenInputs): Record<string, string> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [
      `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`,
      value,
    ]),
  );
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
