import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, openBench, readPullNumber } from './bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

describe('the bundle', () => {
  test('generates the directory for the published request body, without any secret', async () => {
    const body = { instance_type: 't2.small', replica_count: 2, region: 'us-east-1' };
    const result = await bench.run(bench.github.dispatch('generate-terraform', body), {
      'postgres-password': '',
      'replication-password': '',
      'ssh-private-key': '',
    });
    expect(result.conclusion).toBe('success');
    const directory = result.outputs['terraform-directory'] ?? '';
    const read = (name: string) => JSON.parse(result.files[`terraform-directory/${name}`] ?? '');
    expect(read('terraform.tfvars.json')).toMatchObject({ ...body, cluster_name: 'postgres' });
    expect(read('generate.json')).toMatchObject({
      directory,
      files: expect.arrayContaining(['nodes.tf', 'terraform.tfvars.json', 'backend.tf.json']),
    });
    expect(existsSync(directory)).toBe(false);
  });

  test.each([
    ['workflow_dispatch', () => bench.github.workflowDispatch({}), /set command to generate/],
    [
      'an unknown dispatch',
      () => bench.github.dispatch('deploy-it'),
      /event type "deploy-it" is not one of .*, failover/,
    ],
  ])('skips %s and says why', async (_, createEvent, why) => {
    const result = await bench.run(createEvent());
    expect(result.conclusion).toBe('success');
    expect(result.annotations).toEqual([
      expect.objectContaining({ level: 'notice', message: expect.stringMatching(why) }),
    ]);
  });

  test('says on a pull request closed without a merge that nothing was applied', async () => {
    const opened = bench.github.openPullRequest({ branch: 'never', title: 'Never mind' });
    const number = readPullNumber(opened);
    const result = await bench.run(bench.github.close(number));
    expect(result.conclusion).toBe('success');
    const [comment, ...others] = bench.github.listComments(number);
    expect(others).toEqual([]);
    expect(comment?.body).toContain('Nothing was applied');
    expect(result.outputs['comment-url']).toBe(comment?.html_url);
  });

  test('brings everything it needs: nothing is loaded from node_modules', () => {
    const bundle = readFileSync(join(import.meta.dirname, '..', '..', 'dist', 'index.js'), 'utf8');
    const imported = [
      ...bundle.matchAll(/(?:^|[;}\s])import\s?[\w*{}\s,$]*?from\s?["']([^"']+)["']/g),
    ];
    const outside = imported
      .map(([, name]) => name)
      .filter((name) => !name?.startsWith('node:') && !name?.startsWith('./'));
    const builtin = new Set(process.getBuiltinModule('node:module').builtinModules);
    expect(outside.filter((name) => !builtin.has(name ?? ''))).toEqual([]);
  });
});
