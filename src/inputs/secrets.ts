/** Inputs whose values are secrets. */
export const SECRET_INPUTS = [
  'postgres-password',
  'replication-password',
  'registry-password',
  'ssh-private-key',
  'review-key',
  'backup-cipher-key',
  'restore-cipher-key',
  'github-token',
] as const;

/** Whether the input's value is a secret. Messages never show it. */
export function isSecretInput(name: string): boolean {
  return (SECRET_INPUTS as readonly string[]).includes(name);
}

/**
 * Length of the shortest value that is hidden. Hiding `e` or `postgres` would make every text unreadable, so shorter
 * passwords are refused before anything is started.
 */
export const MIN_SECRET_LENGTH = 12;

/** Length of the shortest line of a key that is hidden. Shorter ones occur in other texts as well. */
const MIN_LINE_LENGTH = 8;

/** Lists the secrets of the inputs, longest first: whole values and their lines, because logs are masked by line. */
export function listSecrets(inputs: Readonly<Record<string, string>>): string[] {
  const secrets = SECRET_INPUTS.flatMap((name) => listSecretParts(inputs[name] ?? ''));
  return [...new Set(secrets)].sort((a, b) => b.length - a.length);
}

/** Returns a secret and its lines, as far as they are long enough to be hidden. */
export function listSecretParts(secret: string): string[] {
  if (secret.length < MIN_SECRET_LENGTH) return [];
  const lines = secret.split(/\r?\n/).filter((line) => !line.startsWith('-----'));
  return lines.length === 1
    ? [secret]
    : [secret, ...lines.filter((line) => line.length >= MIN_LINE_LENGTH)];
}

/**
 * Creates a function that hides secrets in a text that the runner does not mask, such as a comment: in plain text and as
 * Markdown, HTML, JSON, SQL or a URL writes them. It also hides password verifiers (SCRAM), which allow offline attacks.
 * Written by hand because the runner masks only its log.
 */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const patterns = secrets.flatMap(splitSecret).map(matchSecret);
  return (text) =>
    [...patterns, VERIFIER].reduce((hidden, pattern) => hidden.replace(pattern, '***'), text);
}

const VERIFIER = /SCRAM-SHA-256(?:\$|&#36;)(?:&#\d+;|[\w+/=:$])+/g;
/** The zero-width space that prevents GitHub from creating a link or a mention. */
const UNSEEN = '(?:&#8203;)?';

/** Characters of a secret in one pattern, to limit the size of the regular expression. */
const MAX_PATTERN_LENGTH = 200;

/** Splits a secret into equal parts for one pattern each, without the whitespace around it. */
function splitSecret(secret: string): string[] {
  const characters = [...secret.trim().replaceAll(/\s+/g, ' ')];
  const parts = Math.ceil(characters.length / MAX_PATTERN_LENGTH);
  const length = Math.ceil(characters.length / parts);
  return Array.from({ length: parts }, (_, index) =>
    characters.slice(index * length, (index + 1) * length).join(''),
  );
}

function matchSecret(secret: string): RegExp {
  // Programs wrap lines at spaces.
  const words = secret.split(' ').map((word) => [...word].map(matchWritten).join(''));
  return new RegExp(words.join('(?:\\s|\\\\[nrt])+'), 'g');
}

/** Returns the pattern of one character of a secret in all its encodings. */
function matchWritten(character: string): string {
  const plain = character.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  if (/[A-Za-z0-9]/.test(character)) return plain;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  const forms = [
    plain,
    // Entities have no ampersand in Mermaid.
    `&?#(?:${code}|[xX]0*${hex});`,
    ...(ENTITIES[character] ? [`&${ENTITIES[character]};`] : []),
    `\\\\${plain}`,
    `\\\\u0*${hex}`,
    `%${hex.padStart(2, '0')}`,
    // SQL, and postgresql.conf.
    ...(character === "'" ? ["''"] : []),
  ];
  // Longest first, so that no rest of an encoding remains visible.
  return `${UNSEEN}(?:${forms.sort((a, b) => b.length - a.length).join('|')})${UNSEEN}`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': 'amp',
  '<': 'lt',
  '>': 'gt',
  '"': 'quot',
  "'": 'apos',
};
