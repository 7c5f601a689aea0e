import { describe, expect, test } from 'vitest';
import { CLUSTER_FILE_PATH, MINIMAL_FILE, readInputsFromFile } from './cluster-file-fixtures.ts';
import { locateInFile } from './locate-in-cluster-file.ts';

describe('a problem of a cluster file has one message, at its line', () => {
  test.each<[string, string | Buffer, number, RegExp]>([
    [
      'a tab as indentation',
      `${MINIMAL_FILE}settings:\n\twork_mem: 8MB\n`,
      5,
      /a tab is used where YAML/,
    ],
    ['an anchor', `${MINIMAL_FILE}primary: &a node-1\n`, 4, /an anchor \(&\) names a value/],
    [
      'an alias',
      `${MINIMAL_FILE}settings: {jit: off}\nbackend_config: *a\n`,
      5,
      /an alias \(\*\) refers to a value elsewhere/,
    ],
    [
      'aliases that multiply',
      `${MINIMAL_FILE}settings:\n  a: &a [x, x]\n  b: [*a, *a]\n`,
      5,
      /an anchor \(&\)/,
    ],
    ['a tag', `${MINIMAL_FILE}replica_count: !!int "2"\n`, 4, /a tag \(!\)/],
    [
      'a key given twice',
      `${MINIMAL_FILE}region: us-east-1\nregion: us-east-2\n`,
      5,
      /region is given twice, first in line 4/,
    ],
    [
      'a setting given twice',
      `${MINIMAL_FILE}settings:\n  jit: off\n  jit: on\n`,
      6,
      /settings: jit is given twice/,
    ],
    [
      'a setting given twice in two cases',
      `${MINIMAL_FILE}settings:\n  jit: off\n  JIT: on\n`,
      6,
      /settings: jit was given in line 5 already/,
    ],
    [
      'a text for a number',
      `${MINIMAL_FILE}replica_count: two\n`,
      4,
      /replica_count: "two" is not allowed\. Allowed: a whole number from 0 to 15/,
    ],
    [
      'a number in quotes',
      `${MINIMAL_FILE}replica_count: "2"\n`,
      4,
      /replica_count: "2" is not allowed/,
    ],
    ['a fraction', `${MINIMAL_FILE}replica_count: 1.5\n`, 4, /replica_count: 1\.5 is not allowed/],
    [
      'a list for a number',
      `${MINIMAL_FILE}replica_count: [2]\n`,
      4,
      /replica_count: a list is not allowed/,
    ],
    [
      'a text for a list',
      `${MINIMAL_FILE}client_cidrs: 10.0.0.0/16\n`,
      4,
      /client_cidrs: "10\.0\.0\.0\/16" is not allowed\. Allowed: a list of IPv4 networks/,
    ],
    [
      'one item of a list',
      `${MINIMAL_FILE}client_cidrs:\n  - 10.0.0.0/16\n  - 10.0.0.1/16\n`,
      6,
      /client_cidrs: "10\.0\.0\.1\/16" is not allowed\. .*Did you mean 10\.0\.0\.0\/16\?/,
    ],
    ['a map for a text', `${MINIMAL_FILE}region: {a: b}\n`, 4, /region: a map is not allowed/],
    ['a text for a map', `${MINIMAL_FILE}settings: jit = off\n`, 4, /settings: not a map/],
    [
      'a word for a flag',
      `${MINIMAL_FILE}require_signature: yes\n`,
      4,
      /require_signature: "yes" is not allowed\. Allowed: true or false/,
    ],
    ['a key without a value', `${MINIMAL_FILE}primary:\n`, 4, /primary: has no value/],
    [
      'a setting without a value',
      `${MINIMAL_FILE}settings:\n  work_mem:\n`,
      5,
      /settings: work_mem has no value/,
    ],
    [
      'a reserved setting',
      `${MINIMAL_FILE}settings:\n  jit: off\n  port: 5433\n`,
      6,
      /settings: port is not allowed\. .*5432/,
    ],
    [
      'a setting in two keys',
      `${MINIMAL_FILE}max_connections: 200\nsettings:\n  max_connections: 200\n`,
      4,
      /max_connections: max_connections is given in clusters\/orders\.yml:6: settings, as well/,
    ],
    [
      'an unknown key',
      `${MINIMAL_FILE}replicas: 2\n`,
      4,
      /unknown key replicas\. A setting of PostgreSQL belongs below settings\. Allowed: cluster_name, /,
    ],
    [
      'a mistyped key',
      `${MINIMAL_FILE}replica_cuont: 2\n`,
      4,
      /unknown key replica_cuont\. Did you mean replica_count\?/,
    ],
    [
      'a key with dashes',
      `${MINIMAL_FILE}replica-count: 2\n`,
      4,
      /unknown key "replica-count"\. Did you mean replica_count\?/,
    ],
    ['__proto__', `${MINIMAL_FILE}__proto__: 2\n`, 4, /unknown key __proto__/],
    [
      'an input of one run',
      `${MINIMAL_FILE}command: apply\n`,
      4,
      /command does not describe the cluster\. Give it as the input command/,
    ],
    ['a merge key', `${MINIMAL_FILE}<<: {region: us-east-1}\n`, 4, /unknown key "<<"/],
    [
      'a wrong value',
      `${MINIMAL_FILE}region: us-eats-1\n`,
      4,
      /region: "us-eats-1" is not allowed\. .*Did you mean us-east-1\?/,
    ],
    ['a byte-order mark', `\uFEFF${MINIMAL_FILE}`, 1, /begins with a byte-order mark/],
    [
      'line ends of Windows',
      MINIMAL_FILE.replaceAll('\n', '\r\n'),
      1,
      /ends with a carriage return/,
    ],
    [
      'another encoding',
      Buffer.from('cluster_name: b\xfccher\n', 'latin1'),
      1,
      /not text in UTF-8/,
    ],
    [
      'a control character',
      `${MINIMAL_FILE}primary: "\u0007"\n`,
      4,
      /"\\u0007" is a control character/,
    ],
    ['2 MB', Buffer.alloc(2 * 1024 * 1024, '#'), 1, /has 2,097,152 bytes\. Allowed: 65,536/],
    ['nothing', '', 1, /the file is empty/],
    ['comments alone', '# soon\n', 1, /the file is empty/],
    [
      'a list',
      `# clusters\n- cluster_name: orders\n`,
      2,
      /the file is a list\. .*Several clusters need a file each/,
    ],
    ['a text', 'orders\n', 1, /the file is a single value/],
    ['two documents', `${MINIMAL_FILE}---\n${MINIMAL_FILE}`, 4, /a second document begins here/],
    ['an open bracket', `${MINIMAL_FILE}client_cidrs: [10.0.0.0/16\n`, 5, /not YAML/],
    [
      'a nest',
      `${MINIMAL_FILE}backend_config: ${'['.repeat(30_000)}`,
      4,
      /nested too deeply|not YAML/,
    ],
    [
      'a deep nest',
      `${MINIMAL_FILE}backend_config: ${'{a: '.repeat(40)}1${'}'.repeat(40)}\n`,
      4,
      /nested too deeply/,
    ],
    [
      'a secret that YAML takes for a block',
      `${MINIMAL_FILE}postgres_password: |hunter2-hunter2\n`,
      4,
      /not YAML/,
    ],
    [
      'a secret that YAML takes for a tag',
      `${MINIMAL_FILE}postgres_password: !kX9!hunter2-hunter2\n`,
      4,
      /a tag \(!\)/,
    ],
    ['a secret with an escape', `${MINIMAL_FILE}postgres_password: "\\hunter2"\n`, 4, /not YAML/],
    [
      'a fraction of connections',
      `${MINIMAL_FILE}max_connections: 200.5\n`,
      4,
      /max_connections: 200\.5 is not allowed/,
    ],
    [
      'nothing in a list',
      `${MINIMAL_FILE}client_cidrs:\n  -\n`,
      5,
      /client_cidrs: null is not allowed/,
    ],
    [
      'a mistyped name',
      MINIMAL_FILE.replace('cluster_name', 'cluster_nam'),
      1,
      /Did you mean cluster_name/,
    ],
    [
      'a backend without its settings',
      MINIMAL_FILE.replace('local', 'gcs').replace(
        'gcs',
        's3\nbackend_config: {bucket: b, key: k}',
      ),
      4,
      /backend_config: region is missing; backend s3 needs it/,
    ],
    [
      'a missing name',
      MINIMAL_FILE.replace('cluster_name: orders\n', ''),
      1,
      /cluster_name: missing/,
    ],
    [
      'a secret',
      `${MINIMAL_FILE}postgres_password: hunter2-hunter2\n`,
      4,
      /postgres_password: the file contains a secret/,
    ],
    [
      'a private key',
      `${MINIMAL_FILE}ssh_public_key: |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n  aHVudGVyMg\n`,
      4,
      /the file contains a private key/,
    ],
    [
      'a secret of the backend',
      `${MINIMAL_FILE}backend_config:\n  path: x\n  secret_key: hunter2\n`,
      6,
      /backend_config: secret_key is a secret/,
    ],
    [
      'a placeholder',
      MINIMAL_FILE.replace('203.0.113.0/24', 'NETWORK/OF/YOUR/RUNNERS'),
      2,
      /ssh_cidrs: still has the placeholder NETWORK\/OF\/YOUR\/RUNNERS/,
    ],
    [
      'a key of the example',
      `${MINIMAL_FILE}image: ghcr.io/OWNER/postgres\n`,
      4,
      /image: still has the placeholder OWNER/,
    ],
  ])('%s', async (_, text, line, expected) => {
    const { inputs, problems } = await readInputsFromFile(text);
    expect(inputs).toBeNull();
    expect(problems).toEqual([expect.stringMatching(expected)]);
    expect(problems[0]).toMatch(new RegExp(`^clusters/orders\\.yml:${line}: `));
    expect(problems.join()).not.toContain('hunter2');
    expect(problems.join()).not.toContain('aHVudGVyMg');
    const place = locateInFile(problems[0] ?? '', {
      path: CLUSTER_FILE_PATH,
      file: null,
      given: {},
    });
    expect(place).toEqual({ file: CLUSTER_FILE_PATH, startLine: line, title: 'Cluster file' });
  });
});
