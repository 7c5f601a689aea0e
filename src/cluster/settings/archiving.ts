import { parseWord } from './parse-value.ts';
import type { Settings } from './settings.ts';

/**
 * The settings of WAL archiving. Every server runs with them, also without backups: the file pgbackrest.conf alone begins
 * and ends archiving, so that no server restarts for it.
 */
export const ARCHIVING: Settings = {
  archive_mode: 'on',
  archive_command:
    'test ! -f /etc/postgresql-cluster/pgbackrest.conf || /opt/pgbackrest/archive-push %p',
};

/** What is left of them beside the settings that a team has chosen. */
export function completeArchiving(chosen: Settings): Settings {
  const { archive_mode = '', archive_command = '' } = ARCHIVING;
  const hasLibrary = (chosen.archive_library ?? '') !== '';
  if (!hasLibrary && !('archive_command' in chosen)) return { archive_mode, archive_command };
  // Their way of archiving stays off until they switch it on, and PostgreSQL accepts a command or a library, not both.
  return hasLibrary ? { archive_command: '' } : {};
}

/** Settings that send WAL elsewhere than to the backups. */
const OWN = ['archive_mode', 'archive_command', 'archive_library'];
/** The modes (PostgreSQL manual, 19.5.3); a Boolean is accepted for the first two. */
const MODES = ['on', 'off', 'always'];

/** Returns the settings that cannot be chosen beside `backup`. */
export function findOwnArchiving(chosen: Settings): string[] {
  return OWN.filter((name) => {
    const value = chosen[name];
    if (value === undefined) return false;
    if (name === 'archive_mode') return parseWord(value, MODES) !== 'on';
    return value !== (ARCHIVING[name] ?? '');
  });
}
