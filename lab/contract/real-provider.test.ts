import { expect, test } from 'vitest';
import { readTemplates } from './real-provider.ts';

test('a release 5.x gets the templates without what only 6.x has, and nothing else changes', () => {
  const [old, current] = [
    readTemplates({ version: '5.100.0' }),
    readTemplates({ version: '6.8.0' }),
  ];
  expect([...old.keys()]).toEqual([...current.keys()]);
  const removed = [...current].flatMap(([name, text]) => {
    const kept = new Set(old.get(name)?.split('\n'));
    return text
      .split('\n')
      .filter((line) => !kept.has(line))
      .map((line) => line.trim());
  });
  expect(removed).toEqual([
    'force_destroy           = true',
    'condition     = aws_key_pair.nodes.region == var.region',
    expect.stringMatching(
      /^error_message = "The cluster lives in \$\{aws_key_pair\.nodes\.region\}/,
    ),
    'version = "~> 6.8"',
  ]);
});
