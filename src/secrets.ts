/** Names of the inputs whose values are secrets. */
export const SECRET_INPUTS = [
  'postgres-password',
  'replication-password',
  'ssh-private-key',
  'review-key',
  'github-token',
] as const;

/** Shorter lines of a key's armour would blank out half of a text. */
const SHORTEST_LINE = 8;

/**
 * Everything of the inputs that must not be seen, longest first: whole values, and the lines of those that
 * have several, since logs are masked line by line.
 */
export function listSecrets(inputs: Readonly<Record<string, string>>): string[] {
  const secrets = SECRET_INPUTS.flatMap((name) => {
    const value = inputs[name] ?? '';
    const lines = value
      .split(/\r?\n/)
      .filter((line) => line.length >= SHORTEST_LINE && !line.startsWith('-----'));
    return value === '' ? [] : [value, ...lines];
  });
  return [...new Set(secrets)].sort((a, b) => b.length - a.length);
}

/**
 * Makes the function that hides the secrets in a text bound for a place the runner does not mask, such as a
 * comment; password verifiers, which can be attacked offline, go too.
 */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  return (text) =>
    secrets
      .reduce((hidden, secret) => hidden.replaceAll(secret, '***'), text)
      .replaceAll(/SCRAM-SHA-256\$[\w+/=:$]+/g, '***');
}
