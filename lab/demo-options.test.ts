import { expect, test } from 'vitest';
import { changeLines, foldPlan, readDemoOptions, readDownOptions } from './demo-options.ts';

test('the demo deploys through an endpoint unless it is asked for something else', () => {
  expect(readDemoOptions([])).toEqual({
    sshVia: 'instance-connect-endpoint',
    destroy: false,
    changes: [],
  });
  expect(readDemoOptions(['--ssh-via', 'direct']).sshVia).toBe('direct');
  expect(readDemoOptions(['max_connections: 150']).changes).toEqual(['max_connections: 150']);
});

test.each([
  [
    ['--ssh-via', 'vpn'],
    /^--ssh-via: vpn is not allowed\. Give instance-connect-endpoint or direct/,
  ],
  [
    ['max_connections=150'],
    /^"max_connections=150" does not begin with a key of the cluster's file/,
  ],
  [['  work_mem: 16MB'], /^" {2}work_mem: 16MB" does not begin with a key/],
  [['--destroy', 'replica_count: 1'], /^--destroy: .* not both/],
  [['--now'], /^Unknown option '--now'\.\nUsage: npm run demo /],
])('%j is refused', (args, message) => {
  expect(() => readDemoOptions(args)).toThrow(message);
});

test('a change replaces the line of its key, or is added', () => {
  const lines = ['cluster_name: orders', 'replica_count: 2', 'settings:', '  work_mem: 8MB'];
  expect(changeLines(lines, ['replica_count: 1', 'max_connections: 150'])).toEqual([
    'cluster_name: orders',
    'replica_count: 1',
    'settings:',
    '  work_mem: 8MB',
    'max_connections: 150',
  ]);
});

test('an option that npm took for its own is missed', () => {
  expect(() => readDemoOptions([], { npm_config_destroy: 'true' })).toThrow(
    /^Two dashes must come before --destroy\.\nUsage/,
  );
  expect(() => readDemoOptions([], { npm_config_ssh_via: 'direct' })).toThrow(/before --ssh-via/);
  // Otherwise the images would be deleted.
  expect(() => readDownOptions([], { npm_config_keep_images: 'true' })).toThrow(
    /^Two dashes must come before --keep-images\.\nUsage/,
  );
});

test('the lab is removed with its images, unless they are to be kept', () => {
  expect(readDownOptions([])).toEqual({ world: 'lab', keepImages: false });
  expect(readDownOptions(['e2e-1', '--keep-images'])).toEqual({ world: 'e2e-1', keepImages: true });
  expect(() => readDownOptions(['--keep-image'])).toThrow(/^Unknown option '--keep-image'.\nUsage/);
});

test("Terraform's own text is left to the file", () => {
  const plan = '<details><summary>The whole plan</summary>\n\n```diff\n+ a\n```\n\n</details>';
  const comment = `<!-- marker -->\n### Title\n\n${plan}\n\nNext: merge.`;
  expect(foldPlan(comment, 'comment.md')).toBe(
    '### Title\n\nThe whole plan (6 lines) is in comment.md\n\nNext: merge.',
  );
});
