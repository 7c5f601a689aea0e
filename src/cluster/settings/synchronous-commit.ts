import { parseWord } from './parse-value.ts';

const WORDS = ['local', 'remote_write', 'remote_apply', 'on', 'off'];

/** PostgreSQL manual, 19.5.1 `synchronous_commit`, its table of modes. */
const WEAK: Readonly<Record<string, string>> = {
  off: 'commits are acknowledged before its primary has it on disk, and no replica is waited for',
  local: 'commits are acknowledged without any replica',
  remote_write:
    'commits are acknowledged before the replica has flushed it: they survive a crash of its PostgreSQL, and not one of its machine',
};

/**
 * Returns what a value of `synchronous_commit` takes away from synchronous replication, as a clause; null where a commit
 * waits until replicas have it on disk (`on`, `remote_apply`), and for invalid values.
 */
export function explainWeakCommit(value: string): string | null {
  return WEAK[parseWord(value, WORDS) ?? ''] ?? null;
}
