/** Names of the inputs whose values are secrets. */
export const SECRET_INPUTS = [
  'postgres-password',
  'replication-password',
  'registry-password',
  'ssh-private-key',
  'review-key',
  'github-token',
] as const;

/** Whether the input's value is a secret, which no message may show. */
export function isSecretInput(name: string): boolean {
  return (SECRET_INPUTS as readonly string[]).includes(name);
}

/**
 * Characters of the shortest value that is hidden. A shorter password is refused before anything is started; hiding
 * one such as `e` or `postgres` would shred every text, that refusal included.
 */
export const MIN_SECRET_LENGTH = 12;

/** Shorter lines of a key's armour would blank out half of a text. */
const MIN_LINE_LENGTH = 8;

/**
 * Everything of the inputs that must not be seen, longest first: whole values, and the lines of those that
 * have several, since logs are masked line by line.
 */
export function listSecrets(inputs: Readonly<Record<string, string>>): string[] {
  const secrets = SECRET_INPUTS.flatMap((name) => listSecretParts(inputs[name] ?? ''));
  return [...new Set(secrets)].sort((a, b) => b.length - a.length);
}

/** A secret and its lines, as far as they are long enough to be hidden. */
export function listSecretParts(secret: string): string[] {
  if (secret.length < MIN_SECRET_LENGTH) return [];
  const lines = secret.split(/\r?\n/).filter((line) => !line.startsWith('-----'));
  return lines.length === 1
    ? [secret]
    : [secret, ...lines.filter((line) => line.length >= MIN_LINE_LENGTH)];
}

/**
 * Makes the function that hides the secrets in a text bound for a place the runner does not mask, such as a comment:
 * as they are, and as Markdown, HTML, JSON, SQL or a URL writes them. Password verifiers, which can be attacked
 * offline, go too.
 */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const patterns = secrets.flatMap(splitSecret).map(matchSecret);
  return (text) =>
    [...patterns, VERIFIER].reduce((hidden, pattern) => hidden.replace(pattern, '***'), text);
}

const VERIFIER = /SCRAM-SHA-256(?:\$|&#36;)(?:&#\d+;|[\w+/=:$])+/g;
/** The character without width that keeps GitHub from making a link or a mention. */
const UNSEEN = '(?:&#8203;)?';

/** Characters in one pattern; a regular expression must not grow without end. */
const MAX_PATTERN_LENGTH = 200;

/** A secret in parts of equal length that are short enough for a pattern. Blanks around it tell nothing. */
function splitSecret(secret: string): string[] {
  const characters = [...secret.trim().replaceAll(/\s+/g, ' ')];
  const parts = Math.ceil(characters.length / MAX_PATTERN_LENGTH);
  const length = Math.ceil(characters.length / parts);
  return Array.from({ length: parts }, (_, index) =>
    characters.slice(index * length, (index + 1) * length).join(''),
  );
}

function matchSecret(secret: string): RegExp {
  // Programs break lines at spaces.
  const words = secret.split(' ').map((word) => [...word].map(matchWritten).join(''));
  return new RegExp(words.join('(?:\\s|\\\\[nrt])+'), 'g');
}

/** A pattern of one character of a secret, however it is written. */
function matchWritten(character: string): string {
  const plain = character.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  if (/[A-Za-z0-9]/.test(character)) return plain;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  const forms = [
    plain,
    // Mermaid's have no ampersand.
    `&?#(?:${code}|[xX]0*${hex});`,
    ...(ENTITIES[character] ? [`&${ENTITIES[character]};`] : []),
    `\\\\${plain}`,
    `\\\\u0*${hex}`,
    `%${hex.padStart(2, '0')}`,
    // SQL, and postgresql.conf.
    ...(character === "'" ? ["''"] : []),
  ];
  // The longest first: what is left of a form would be seen.
  return `${UNSEEN}(?:${forms.sort((a, b) => b.length - a.length).join('|')})${UNSEEN}`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': 'amp',
  '<': 'lt',
  '>': 'gt',
  '"': 'quot',
  "'": 'apos',
};
