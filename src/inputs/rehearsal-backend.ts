import { UserError } from '../messages/errors.ts';
import type { Backend } from './inputs.ts';

/** How the setting that names a state gets the name of a second one. */
interface StateName {
  readonly setting: string;
  /** What the backend uses without it; null if it is required. */
  readonly standard: string | null;
  /** Whether it ends with a file's name, so that the addition precedes the extension. */
  readonly isFile: boolean;
  /** The longest name, in bytes, where the service would not say itself that one is too long. */
  readonly longest?: number;
}

const ADDITION = '-rehearsal';

/** Terraform's documentation, "Backend block", and the source of each backend for its default. */
const STATE_NAMES: ReadonlyMap<string, StateName> = new Map([
  ['azurerm', { setting: 'key', standard: null, isFile: true }],
  ['consul', { setting: 'path', standard: null, isFile: false }],
  ['cos', { setting: 'key', standard: 'terraform.tfstate', isFile: true }],
  // A folder; the state's own name in it is the workspace's.
  ['gcs', { setting: 'prefix', standard: '', isFile: false }],
  ['kubernetes', { setting: 'secret_suffix', standard: null, isFile: false }],
  ['local', { setting: 'path', standard: 'terraform.tfstate', isFile: true }],
  ['oci', { setting: 'key', standard: 'terraform.tfstate', isFile: true }],
  ['oss', { setting: 'key', standard: 'terraform.tfstate', isFile: true }],
  // PostgreSQL cuts a longer identifier, which would then name the cluster's own state.
  [
    'pg',
    { setting: 'schema_name', standard: 'terraform_remote_state', isFile: false, longest: 63 },
  ],
  ['s3', { setting: 'key', standard: null, isFile: true }],
]);

/** Returns why a rehearsal can have no state of its own in this backend, with the next step; null if it can. */
export function explainNoRehearsalState({ type, config }: Backend): string | null {
  const names = STATE_NAMES.get(type);
  if (names === undefined) {
    return `a rehearsal keeps its state beside the cluster's, and the backend ${type} has no name for a second one. Use a backend that has, e.g. s3.`;
  }
  const { setting, standard, longest = Number.POSITIVE_INFINITY } = names;
  const given = config[setting] ?? standard;
  if (typeof given !== 'string' || (given === '' && standard !== '')) {
    return `a rehearsal keeps its state beside the cluster's, and ${setting} is not the name of one. Give it as text.`;
  }
  const room = longest - ADDITION.length;
  if (Buffer.byteLength(given) <= room) return null;
  return `a rehearsal keeps its state beside the cluster's, under the name in ${setting} with ${ADDITION} added, and the backend ${type} allows ${longest} characters. Use a name of at most ${room}.`;
}

/**
 * Returns the backend of a rehearsal: the same place with another name of the state, e.g. `postgres/orders-rehearsal.tfstate`
 * beside `postgres/orders.tfstate`.
 *
 * @throws UserError with what `explainNoRehearsalState` returns
 */
export function deriveRehearsalBackend(backend: Backend): Backend {
  const problem = explainNoRehearsalState(backend);
  const names = STATE_NAMES.get(backend.type);
  if (problem !== null || names === undefined) throw new UserError(`backend: ${problem}`);
  const { setting, standard, isFile } = names;
  const name = addName(String(backend.config[setting] ?? standard), isFile);
  return { type: backend.type, config: { ...backend.config, [setting]: name } };
}

/** Adds to the name before its last extension; a name that only begins with a dot has none. */
function addName(name: string, isFile: boolean): string {
  // A folder may be written with a slash at its end.
  const [stem = '', extension = ''] = isFile
    ? name.split(/(?<=[^/])(\.[^./]*)$/)
    : [name.replace(/\/+$/, '')];
  return stem === '' ? ADDITION.slice(1) : `${stem}${ADDITION}${extension}`;
}
