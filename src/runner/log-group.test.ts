import { afterEach, expect, test, vi } from 'vitest';
import { logGroup, maskSecret, warn } from './log-group.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** Returns the lines that the runner would take for text, as it reads commands. */
async function readAsRunner(
  work: () => Promise<void>,
): Promise<{ text: string; masks: string[]; warnings: string[] }> {
  let log = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    log += chunk;
    return true;
  });
  await work();
  vi.restoreAllMocks();
  const text: string[] = [];
  const masks: string[] = [];
  const warnings: string[] = [];
  let stopped: string | null = null;
  for (const line of log.split('\n')) {
    if (stopped !== null) {
      if (line === `::${stopped}::`) stopped = null;
      else text.push(line);
      continue;
    }
    const [, command, value = ''] = /^::([a-z-]+)::(.*)$/.exec(line) ?? [];
    if (command === 'stop-commands') stopped = value;
    else if (command === 'add-mask') masks.push(value);
    else if (command === 'warning') warnings.push(value);
    else if (!line.startsWith('::')) text.push(line);
  }
  return { text: text.join('\n'), masks, warnings };
}

test('a secret that is found inside of a group is hidden, not printed', async () => {
  const { text, masks } = await readAsRunner(async () => {
    maskSecret('secret before');
    await logGroup('Work', async () => {
      maskSecret('secret inside');
      process.stdout.write('::add-mask::output of a child\n');
    });
    maskSecret('secret after');
  });
  expect(masks).toEqual(['secret before', 'secret inside', 'secret after']);
  expect(text).not.toContain('secret');
  expect(text).toContain('::add-mask::output of a child');
});

test('a warning inside of a group is one, and output that looks like one is not', async () => {
  const { text, warnings } = await readAsRunner(async () => {
    warn('before');
    await logGroup('Work', async () => {
      warn('inside');
      process.stdout.write('::warning::output of a child\n');
    });
    warn('after');
  });
  expect(warnings).toEqual(['before', 'inside', 'after']);
  expect(text).toContain('::warning::output of a child');
});

test('the runner takes commands again after a group within a group, and none of either', async () => {
  const { text, warnings } = await readAsRunner(async () => {
    await logGroup('Configure', async () => {
      await logGroup('Apply', async () => {
        process.stdout.write('::warning::output within\n');
      });
      process.stdout.write('::warning::output after\n');
      warn('inside');
    });
    warn('after');
  });
  expect(warnings).toEqual(['inside', 'after']);
  expect(text).toContain('::warning::output within');
  expect(text).toContain('::warning::output after');
});
