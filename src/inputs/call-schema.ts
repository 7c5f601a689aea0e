import { z } from 'zod';
import { BACKUP_TYPES } from '../cluster/backup.ts';
import { COMMANDS } from '../runner/intent.ts';
import { cipherKey } from './cipher-keys.ts';
import { isClusterName } from './schema-fields.ts';
import type { SECRET_INPUTS } from './secrets.ts';

/** Inputs that say what a failover, a replacement, a deletion, a backup or the removal of a cluster does. A request body may have them as well. */
export const REPAIR_KEYS = [
  'fenced',
  'replace',
  'replace-volume',
  'discard',
  'discard-data',
  'backup-type',
  'destroy',
] as const;
/** One of them. */
export type RepairKey = (typeof REPAIR_KEYS)[number];

/** The inputs that a cluster file cannot have: the job of one run, the path of the file, and secrets. All are texts. */
export const callSchema = z.object({
  command: z.enum(COMMANDS, { error: () => `Allowed: ${COMMANDS.join(', ')}, e.g. auto.` }),
  fenced: z.string().refine((value) => /^(node-[1-9]\d?)?$/.test(value), {
    error:
      'Allowed: the name of the node that is permanently down, or nothing, so that the action fences the primary itself, e.g. node-1.',
  }),
  replace: z.string().refine((value) => /^(node-[1-9]\d?)?$/.test(value), {
    error: 'Allowed: the name of the node that gets a new instance, e.g. node-2.',
  }),
  'replace-volume': z.enum(['', 'true', 'false'], {
    error:
      'Allowed: true to replace the data volume as well by a blank one, to which the data is cloned, or false, e.g. false.',
  }),
  discard: z.string().refine((value) => /^(node-[1-9]\d?)?$/.test(value), {
    error: 'Allowed: the name of the node whose kept data directories are deleted, e.g. node-2.',
  }),
  'discard-data': z.enum(['', 'true', 'false'], {
    error:
      'Allowed: true to delete as well the data of a node that cannot follow the primary, or false, e.g. false.',
  }),
  'backup-type': z.enum(['', ...BACKUP_TYPES], {
    error: 'Allowed: full or incremental, or nothing for an incremental one, e.g. full.',
  }),
  destroy: z.string().refine((value) => value === '' || isClusterName(value), {
    error: 'Allowed: the name of the cluster that is destroyed, or nothing, e.g. orders.',
  }),
  'cluster-file': z.string().refine((value) => value === '' || isClusterPath(value), {
    error:
      'Allowed: the path of a YAML file in the repository, of letters, digits, dots, dashes and underscores, without .., .git or .github, e.g. clusters/orders.yml.',
  }),
  request: z.string(),
  'review-key': z.string().refine((value) => value === '' || value.length >= 32, {
    error:
      'Allowed: at least 32 characters, or nothing for no signature, e.g. the output of openssl rand -hex 32.',
  }),
  'backup-cipher-key': cipherKey(),
  'restore-cipher-key': cipherKey(),
  'postgres-password': z.string(),
  'replication-password': z.string(),
  'registry-username': z.string().refine((value) => /^[\x21-\x7e]{0,255}$/.test(value), {
    error:
      'Allowed: a user name of the image registry, of printable ASCII without spaces, or nothing for no login, e.g. acme-bot.',
  }),
  'registry-password': z.string(),
  'ssh-private-key': z.string(),
  'github-token': z.string(),
} satisfies Record<
  | (typeof SECRET_INPUTS)[number]
  | 'command'
  | RepairKey
  | 'cluster-file'
  | 'request'
  | 'registry-username',
  z.ZodType
>);

/** Whether the path can be a cluster file's: a YAML file in the repository, outside .git and .github. */
export function isClusterPath(path: string): boolean {
  if (!/^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*\.ya?ml$/.test(path) || path.length > 1024)
    return false;
  return !path.split('/').some((name) => /^(\.{1,2}|\.git|\.github)$/i.test(name));
}
