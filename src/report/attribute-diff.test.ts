import { describe, expect, test } from 'vitest';
import { compareSides, type Json } from '../terraform/attributes.ts';
import { renderAttributes } from './attribute-diff.ts';

function render(before: Json, after: Json, options?: { context?: number }): string {
  const changes = compareSides({
    before: { text: before },
    after: { text: after },
    unknown: {},
    beforeSensitive: {},
    afterSensitive: {},
  });
  return renderAttributes(changes, options);
}

describe('renderAttributes', () => {
  test('folds the unchanged lines of a heredoc', () => {
    const text = (line: string) => `a\nb\nc\nd\n${line}\ne\nf\ng\nh\n`;
    const expected = [
      '  text:',
      '    …',
      '    c',
      '    d',
      '-   old',
      '+   new',
      '    e',
      '    f',
      '    …',
    ];
    expect(render(text('old'), text('new')).split('\n')).toEqual(expected);
    expect(render(text('old'), text('new'), { context: 0 }).split('\n')).toEqual([
      '  text:',
      '    …',
      '-   old',
      '+   new',
      '    …',
    ]);
  });

  test('compares JSON in a string by lines, independent of its formatting', () => {
    const policy = (action: string) => ({
      Statement: [{ Effect: 'Allow', Action: ['ec2:DescribeVolumes', action], Resource: '*' }],
    });
    const diff = render(
      JSON.stringify(policy('s3:Get')),
      JSON.stringify(policy('s3:Put'), null, 4),
    );
    expect(diff.split('\n').filter((line) => !line.startsWith(' '))).toEqual([
      '-           "s3:Get"',
      '+           "s3:Put"',
    ]);
  });

  test('a carriage return does not begin a line', () => {
    const diff = render('one\ntwo', 'one\ntwo\r- forged = 20\r+ forged = 1');
    expect(diff).toContain('+   two<U+000D>- forged = 20<U+000D>+ forged = 1');
    expect(diff).not.toContain('\r');
  });
});
