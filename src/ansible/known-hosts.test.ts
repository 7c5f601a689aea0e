import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KnownHosts, selectKnownHosts } from './known-hosts.ts';

const KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh';
const NODE = `i-0123456789abcdef0 ssh-ed25519 ${KEY}`;
const HASHED = `|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ecdsa-sha2-nistp256 ${KEY}`;

describe('a known-hosts file', () => {
  test.each([
    ['a node', NODE, true],
    ['a hashed name', HASHED, true],
    ['a certificate authority', `@cert-authority * ssh-ed25519 ${KEY}`, false],
    ['a pattern', `* ssh-ed25519 ${KEY}`, false],
    ['an address', `203.0.113.7 ssh-ed25519 ${KEY}`, false],
    ['two names', `i-0123456789abcdef0,* ssh-ed25519 ${KEY}`, false],
    ['something behind the key', `${NODE} x`, false],
    ['a comment', '# nodes', false],
  ])('%s: kept is %s', (_, line, kept) => {
    expect(selectKnownHosts(`${line}\r\n`)).toBe(kept ? `${line}\n` : '');
  });
});

describe('the known hosts of a run', () => {
  let folder: string;
  let lasting: string;
  let copy: string;
  let knownHosts: KnownHosts;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'known-hosts-'));
    lasting = join(folder, 'cluster', 'known_hosts');
    copy = join(folder, 'copy');
    knownHosts = new KnownHosts({ lasting, copy });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('are saved if ssh added one, in a new folder if necessary', async () => {
    await knownHosts.load();
    writeFileSync(copy, `${NODE}\n`);
    await knownHosts.save();
    expect(readFileSync(lasting, 'utf8')).toBe(`${NODE}\n`);
    const again = new KnownHosts({ lasting, copy });
    writeFileSync(copy, '');
    await again.load();
    expect(readFileSync(copy, 'utf8')).toBe(`${NODE}\n`);
  });

  test('are not read or written through a link', async () => {
    writeFileSync(join(folder, 'secret'), NODE);
    const link = join(folder, 'link');
    symlinkSync(join(folder, 'secret'), link);
    const linked = new KnownHosts({ lasting: link, copy });
    await expect(linked.load()).rejects.toThrow(/known hosts must be a plain file/);
  });
});
