import { UserError } from '../messages/errors.ts';
import type { ProcessError } from '../process/child-process.ts';
import { explainCapacity, type PlannedInstances } from './capacity-failure.ts';
import { explainCredentials, explainProfile } from './credentials.ts';
import type { TerraformProduct } from './install.ts';
import { explainVolume } from './volume-failure.ts';

/** Command names at a prompt. */
export const COMMANDS: Readonly<Record<TerraformProduct, string>> = {
  Terraform: 'terraform',
  OpenTofu: 'tofu',
};

/** Converts a failure to a user error: the program's own words, with the next step if it is known. */
export function explainFailure(
  error: ProcessError,
  options: {
    product: TerraformProduct;
    args: readonly string[];
    /** The instances of the plan that was applied. */
    planned?: PlannedInstances | undefined;
  },
): UserError {
  const { product, args, planned } = options;
  const command = COMMANDS[product];
  // `plan`, `state push`
  const subcommand = args.slice(0, args[0] === 'state' ? 2 : 1).join(' ');
  const stderr = error.result.stderr.trim();
  return new UserError(
    `${command} ${subcommand} failed:\n${stderr}${findNextStep(stderr, { command, planned })}`,
    { cause: error },
  );
}

function findNextStep(
  stderr: string,
  { command, planned }: { command: string; planned: PlannedInstances | undefined },
): string {
  const locked = /Error acquiring the state lock([\s\S]*)/.exec(stderr)?.[1];
  if (locked !== undefined) {
    const { ID: id, Who: who, Operation: operation, Created: created } = readLock(locked);
    if (id !== undefined) {
      const holder = [who, operation, created && `since ${created}`].filter(Boolean).join(', ');
      return `\nAnother run holds the state lock (${holder}). Wait for it and run this again. If that run is dead: ${command} force-unlock ${id}`;
    }
  }
  if (/Error releasing the state lock/.test(stderr)) {
    return `\nThe state lock may still be held. The next run shows its lock ID; release it then with: ${command} force-unlock ID`;
  }
  const nextStep =
    explainProfile(stderr) ??
    explainCapacity(stderr, planned) ??
    explainVolume(stderr) ??
    explainZone(stderr) ??
    explainCredentials(stderr);
  return nextStep === null ? '' : `\n${nextStep}`;
}

/** Reads the lines of Terraform's "Lock Info". */
function readLock(text: string): Partial<Record<string, string>> {
  const lines = text.matchAll(/^\W*(ID|Who|Operation|Created):[ \t]+(\S.*?)\s*$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
}

/** Explains a hosted zone that the account does not have. */
function explainZone(stderr: string): string | null {
  const isMissing =
    /reading Route\s?53 Hosted Zone \([^)]*\): couldn't find|\bNoSuchHostedZone\b/.test(stderr);
  return isMissing
    ? 'The account has no hosted zone with the id in dns-zone-id. "aws route53 list-hosted-zones" lists them; give the id of a private one, or leave it out.'
    : null;
}
