import { BACKUP_TYPES } from '../cluster/backup.ts';
import { suggestName } from '../messages/suggest-name.ts';
import { COMMANDS } from '../runner/intent.ts';
import { BACKENDS } from './backend.ts';
import { formatAddress, maskAddress, parseAddress } from './ipv4.ts';
import { REGIONS } from './regions.ts';
import { isVpcNetwork } from './schema-fields.ts';
import {
  hintGib,
  hintIops,
  hintKmsKey,
  hintMinutes,
  hintPercent,
  hintRate,
  hintThroughput,
} from './storage-hint.ts';

/** Returns a sentence that suggests what an invalid value was meant to be; null if there is no suggestion. */
type Hint = (value: string) => string | null;

const suggest = (value: string): string => `Did you mean ${value}?`;

/** Suggests the closest of a few words. */
const hintWord =
  (words: readonly string[]): Hint =>
  (value) => {
    const near = suggestName(value, words);
    return near === null ? null : suggest(near);
  };

const INSTANCE_TYPE = /^[a-z][a-z0-9-]*\.[a-z0-9-]+$/;

function hintInstanceType(value: string): string | null {
  const plain = value
    .trim()
    .toLowerCase()
    .replace(/^([a-z]\w*)[ _-](?=\d*\w+$)/, '$1.');
  const [, service, type = plain] =
    /^(db|cache|ml|mq|kafka|dms|dax)\.(.+)$/.exec(plain) ?? /^()(.+)\.search$/.exec(plain) ?? [];
  if (!INSTANCE_TYPE.test(type) || type === value) return null;
  if (service === undefined) return suggest(type);
  const owner = service === 'db' ? "RDS's" : "another service's";
  return `${value.trim()} is ${owner} name for a class of nodes. ${suggest(type)}`;
}

/** AWS partitions other than the commercial one; their accounts and images differ. */
const PARTITIONS: readonly (readonly [RegExp, string])[] = [
  [/^us-gov-/, 'AWS GovCloud'],
  [/^cn-/, 'AWS China'],
  [/^us-iso|^eu-iso/, 'an isolated partition of AWS'],
  [/^eusc-/, 'the AWS European Sovereign Cloud'],
];

function hintRegion(value: string): string | null {
  const plain = value.trim().toLowerCase();
  const partition = PARTITIONS.find(([pattern]) => pattern.test(plain))?.[1];
  if (partition !== undefined) {
    return `${plain} belongs to ${partition}, which is not supported: the Debian images there belong to accounts that the action does not know. Clusters run in the regions of AWS's commercial partition.`;
  }
  const zoned = plain.replace(/[a-z]$/, '');
  if (/\d[a-z]$/.test(plain) && REGIONS.includes(zoned)) {
    return `${plain} is an availability zone; nodes are spread over the zones of a region. ${suggest(zoned)}`;
  }
  return hintWord(REGIONS)(value);
}

function hintNetwork(value: string): string | null {
  if (value.split(':').length > 2) {
    return 'IPv6 is not supported: nodes have IPv4 addresses only.';
  }
  const match = /^(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?:\/(\d{1,2}))?$/.exec(value);
  const address = parseAddress(match?.[1] ?? '');
  if (address === null) return null;
  const prefix = Number(match?.[2] ?? '32');
  if (prefix > 32) return null;
  if (match?.[2] === undefined) {
    return address === 0
      ? '0.0.0.0/0 is every address.'
      : `Did you mean ${formatAddress(address)}/32, this one address?`;
  }
  return suggest(`${formatAddress(maskAddress(address, prefix))}/${prefix}`);
}

/** A VPC's network is a /16 to /24. */
function hintVpc(value: string): string | null {
  const [, address = '', prefix] = /^([\d.]+)\/(\d{1,2})$/.exec(value.trim()) ?? [];
  if (prefix === undefined || Number(prefix) > 24) return null;
  const meant = Math.max(16, Number(prefix));
  const start = parseAddress(address);
  return start !== null && isVpcNetwork(`${formatAddress(maskAddress(start, meant))}/${meant}`)
    ? hintNetwork(`${address}/${meant}`)
    : null;
}

function hintMemory(value: string): string | null {
  const match = /^(\d{1,9})\s*([kmgt])?b?$/i.exec(value.trim());
  const digits = match?.[1]?.replace(/^0+(?=\d)/, '');
  if (digits === undefined || digits === '0') return null;
  const unit = match?.[2]?.toUpperCase() ?? 'M';
  const meant = `${digits}${unit === 'K' ? 'kB' : `${unit}B`}`;
  return meant === value ? null : suggest(meant);
}

function hintNode(value: string): string | null {
  const number = /^(?:node)?[\s_-]*([1-9]\d?)$/i.exec(value.trim())?.[1];
  return number === undefined || value === `node-${number}` ? null : suggest(`node-${number}`);
}

function hintClusterName(value: string): string | null {
  const plain = value
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^[-\d]+|-+$/g, '');
  return plain === '' || plain === value || plain.length > 40 || plain.startsWith('sg-')
    ? null
    : suggest(plain);
}

function hintImage(value: string): string | null {
  const [, repository, tag] = /^([^@\s]*[^@:/\s])[:@]([^/\s]+)$/.exec(value) ?? [];
  if (repository === undefined || tag === undefined) return null;
  return tag.startsWith('sha256:')
    ? `Give a tag with the digest: image: ${repository} and image-tag: 17@${tag}.`
    : `Give image: ${repository} and image-tag: ${tag}.`;
}

function hintImageTag(value: string): string | null {
  const digest = /^@?(sha256:[0-9a-f]{64})$/.exec(value)?.[1];
  if (digest !== undefined) return `A digest follows a tag. ${suggest(`17@${digest}`)}`;
  if (/@sha256:/.test(value)) return 'A digest has 64 hexadecimal digits, in lower case.';
  const tag = /^(?:postgres:|v)(\d[\w.-]*)$/.exec(value)?.[1];
  return tag === undefined ? null : suggest(tag);
}

function hintInstanceProfile(value: string): string | null {
  const role = /^arn:[\w-]+:iam::\d*:role\//.test(value.trim());
  const name = /([\w+=,.@-]{1,128})$/.exec(value.trim())?.[1];
  if (role || name === undefined || name === value) return null;
  return suggest(name);
}

const HINTS: Readonly<Record<string, Hint>> = {
  command: hintWord(COMMANDS),
  'cluster-name': hintClusterName,
  'instance-type': hintInstanceType,
  region: hintRegion,
  primary: hintNode,
  fenced: hintNode,
  replace: hintNode,
  'replace-volume': hintWord(['true', 'false']),
  discard: hintNode,
  'discard-data': hintWord(['true', 'false']),
  'backup-type': hintWord(BACKUP_TYPES),
  'shared-buffers': hintMemory,
  image: hintImage,
  'image-tag': hintImageTag,
  'ssh-cidrs': hintNetwork,
  'client-cidrs': hintNetwork,
  'ssh-via': hintWord(['instance-connect-endpoint', 'direct']),
  'ssh-address': hintWord(['private', 'public']),
  'internet-via': hintWord(['public-addresses', 'nat-gateway']),
  'instance-profile': hintInstanceProfile,
  'vpc-cidr': hintVpc,
  'data-volume-size': hintGib('data_volume_size'),
  'data-volume-iops': hintIops,
  'data-volume-throughput': hintThroughput,
  'root-volume-size': hintGib('root_volume_size'),
  'kms-key-id': hintKmsKey,
  'clone-from': hintWord(['primary', 'replica']),
  'clone-max-rate': hintRate,
  'storage-alert-percent': hintPercent,
  'wait-minutes': hintMinutes,
  backend: hintWord(BACKENDS),
  'on-plan-change': hintWord(['fail', 'apply']),
  comment: hintWord(['own', 'shared']),
};

/** Longer texts are not typing errors, and patterns are slow on them. */
const MAX_LENGTH = 200;

/** Suggests, in a sentence, what an invalid value of `input` was meant to be; null if there is no suggestion. */
export function hintInput(input: string, value: string): string | null {
  if (value.length > MAX_LENGTH) return null;
  return Object.hasOwn(HINTS, input) ? (HINTS[input]?.(value) ?? null) : null;
}

/** The placeholders, in capitals, that inputs have in docs/workflows. */
const PLACEHOLDER =
  /(?<![\w-])(?:NETWORK\/OF\/YOUR(?:\/[A-Z]+)?|BUCKET|ACCOUNT|OWNER|READ-ONLY-ROLE|DEPLOY-ROLE)(?![\w-])/;

/** Returns a placeholder of the example workflow that is left in a value, or null. Comments are ignored. */
export function findPlaceholder(value: string): string | null {
  return PLACEHOLDER.exec(value.replaceAll(/^[ \t]*#.*$/gm, ''))?.[0] ?? null;
}
