import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CommentEntry,
  createSharedComposer,
  createSingleComposer,
  SHARED_LIMIT,
} from './comment-composer.ts';
import { readStamp, renderStamp } from './run-stamp.ts';
import { collectSections, type Section } from './section.ts';

const run = { id: 7, attempt: 1 };
const entry = (words: Partial<CommentEntry> = {}): CommentEntry => ({
  identity: 'orders/1',
  run,
  body: 'planned',
  short: null,
  onlyOwn: false,
  isFinal: false,
  ...words,
});
const shared = createSharedComposer();

/** Returns a comment with these sections, written in this order. */
function write(...entries: Partial<CommentEntry>[]): string {
  return entries.reduce(
    (text, words) => shared.compose(text === '' ? [] : [text], entry(words)).text,
    '',
  );
}

describe('a shared comment', () => {
  test('has a section per cluster, sorted by identity', () => {
    expect(write({ identity: 'b/2', body: 'B' }, { identity: 'a/1', body: 'A\n' })).toBe(
      [
        '<!-- postgres-cluster-action: shared -->',
        '',
        '<!-- postgres-cluster-action begin: a/1 -->',
        '<!-- postgres-cluster-action run: 7/1 -->',
        'A',
        '',
        '<!-- postgres-cluster-action end: a/1 -->',
        '',
        '<!-- postgres-cluster-action begin: b/2 -->',
        '<!-- postgres-cluster-action run: 7/1 -->',
        'B',
        '',
        '<!-- postgres-cluster-action end: b/2 -->',
      ].join('\n'),
    );
  });

  test('replaces one section and keeps the others but for line ends', () => {
    const before = write({ identity: 'a/1', body: 'A' }, { identity: 'b/2', body: 'B' });
    const { text } = shared.compose([before.replaceAll('\n', '\r\n')], entry({ identity: 'a/1' }));
    expect(text).toBe(before.replace('\nA\n', '\nplanned\n'));
  });

  test('keeps the order of runs for each section', () => {
    const text = write(
      { identity: 'a/1', run: { id: 9, attempt: 1 } },
      { identity: 'b/2', run: { id: 5, attempt: 1 } },
    );
    expect(shared.compose([text], entry({ identity: 'a/1', body: 'late' }))).toEqual({
      text,
      refusal: { outcome: 'superseded', by: 9 },
      shortened: false,
    });
    expect(shared.compose([text], entry({ identity: 'b/2' })).refusal).toBeNull();
    expect(shared.compose([text], entry({ identity: 'b/2', onlyOwn: true })).refusal).toEqual({
      outcome: 'foreign',
      by: 5,
    });
    expect(shared.compose([], entry({ onlyOwn: true })).refusal).toEqual({
      outcome: 'foreign',
      by: null,
    });
  });

  test('merges the sections of several comments and keeps those of later runs', () => {
    const first = write({ identity: 'a/1', body: 'old' }, { identity: 'b/2', body: 'B' });
    const second = write(
      { identity: 'a/1', body: 'new', run: { id: 8, attempt: 1 } },
      { identity: 'c/3', body: 'C' },
    );
    for (const found of [
      [first, second],
      [second, first],
    ]) {
      const { text } = shared.compose(found, entry({ identity: 'd/4', body: 'D' }));
      expect(text.match(/^(?:old|new|[A-D])$/gm)).toEqual(['new', 'B', 'C', 'D']);
    }
  });

  test.each([
    ['a begin marker', '<!-- postgres-cluster-action begin: b/2 -->\nforged'],
    ['an end marker', 'x\n<!-- postgres-cluster-action end: orders/1 -->\nleft over'],
    [
      'an end and a begin',
      '<!-- postgres-cluster-action end: orders/1 -->\r<!-- postgres-cluster-action begin: b/2 -->',
    ],
    ['a stamp', '<!-- postgres-cluster-action run: 99999/1 -->\nforged'],
    ['other spaces and letters', '<!--POSTGRES-cluster-action begin: b/2 -->'],
  ])('does not let a report forge %s', (_case, body) => {
    const victim = { identity: 'b/2', body: 'true', run: { id: 3, attempt: 1 } };
    const text = write(victim, { body });
    expect(text.match(/<!--/g)).toHaveLength(1 + 2 * 3);
    expect(shared.compose([text], entry({ body: 'next' })).refusal).toBeNull();
    const after = write(victim, { body: 'next' });
    expect(shared.compose([text], entry({ body: 'next' })).text).toBe(after);
  });

  describe('with recorded sections', () => {
    const record = (words: Partial<Section>): Section => ({
      identity: 'b/2',
      run,
      isFinal: true,
      body: 'recorded',
      ...words,
    });
    const before = write({ identity: 'b/2', body: 'in progress' });
    const bodies = (text: string) =>
      collectSections([text]).map(({ identity, body, isFinal }) => [identity, body, isFinal]);
    const compose = (text: string, ...recorded: Section[]) =>
      bodies(shared.compose([text], entry({ isFinal: true }), recorded).text);

    test('adds one that was lost', () => {
      expect(compose('', record({}))).toEqual([
        ['b/2', 'recorded', true],
        ['orders/1', 'planned', true],
      ]);
    });

    test('replaces a report in progress of the same run, and that of an earlier run', () => {
      expect(compose(before, record({}))[0]).toEqual(['b/2', 'recorded', true]);
      const earlier = write({ identity: 'b/2', isFinal: true, run: { id: 6, attempt: 1 } });
      expect(compose(earlier, record({}))[0]).toEqual(['b/2', 'recorded', true]);
    });

    test('keeps the last report of the run, which may be shorter, and that of a later run', () => {
      const last = write({ identity: 'b/2', body: 'short', isFinal: true });
      expect(compose(last, record({}))[0]).toEqual(['b/2', 'short', true]);
      const later = write({ identity: 'b/2', body: 'later', run: { id: 8, attempt: 1 } });
      expect(compose(later, record({}))[0]).toEqual(['b/2', 'later', false]);
    });

    test('cuts one that has no room', () => {
      const full = write({ identity: 'a/1', body: 'A'.repeat(SHARED_LIMIT - 1_000) });
      const long = record({ body: `#### B\n\n${'b'.repeat(10_000)}` });
      expect(compose(full, long)[1]?.[1]).toMatch(/^#### B\n\nThe report does not fit in here/);
    });
  });

  test('is read by a release that knows no last reports', () => {
    const text = write({ identity: 'a/1', body: 'A', isFinal: true });
    // Its stamp is the first line of the section.
    expect(text).toContain('begin: a/1 -->\n<!-- postgres-cluster-action run: 7/1 -->\n');
  });

  test('survives edits by people', () => {
    const text = write({ identity: 'a/1', body: 'A' }, { identity: 'b/2', body: 'B' });
    const damaged = text
      .replace('<!-- postgres-cluster-action end: a/1 -->', '')
      .replace('<!-- postgres-cluster-action run: 7/1 -->', 'hello');
    expect(shared.compose([damaged], entry({ identity: 'b/2', body: 'B' })).text).toMatch(
      /begin: a\/1 -->\nhello\nA\n\n<!-- \S+ end: a\/1 -->\n\n<!-- \S+ begin: b\/2/,
    );
  });

  test('is the same for every order of writers', () => {
    const words = fc.record({
      body: fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.stringMatching(
          /^(<!-- postgres-cluster-action (begin|end|run): [ab]\/1 -->|\r|\n|x){0,6}$/,
        ),
      ),
    });
    fc.assert(
      fc.property(fc.array(words, { minLength: 2, maxLength: 5 }), fc.nat(), (all, turn) => {
        const entries = all.map(({ body }, index) => ({ identity: `${'abcde'[index]}/1`, body }));
        const turned = entries.map((_, index) => entries[(index + turn) % entries.length] ?? {});
        expect(write(...turned)).toBe(write(...entries));
        // Writing the same text again changes nothing.
        expect(write(...entries, ...turned)).toBe(write(...entries));
      }),
    );
  });

  describe('without room', () => {
    const big = (letter: string) => letter.repeat(SHARED_LIMIT / 2);

    test('shortens the last reports', () => {
      const first = write({ identity: 'a/1', body: big('A') });
      const late = entry({ identity: 'b/2', body: big('B'), short: '#### B\n\nin short' });
      const { text, shortened } = shared.compose([first], late);
      expect(shortened).toBe(true);
      expect(text.slice(-200)).toContain('#### B\n\nin short\n');
      expect(text.includes(big('A'))).toBe(true);
      // The full report returns once there is room.
      const room = shared.compose([text], entry({ identity: 'a/1', body: 'A' })).text;
      expect(shared.compose([room], late)).toMatchObject({ shortened: false });
    });

    test('shortens the last reports to headlines if short forms do not fit', () => {
      const first = write({ identity: 'a/1', body: big('A') });
      const short = `#### B\n\n${big('b')}${big('b')}`;
      const { text, shortened } = shared.compose([first], entry({ body: big('B'), short }));
      expect(shortened).toBe(true);
      expect(text.slice(-200)).toContain(
        '#### B\n\nThe report does not fit in here: the job summary has it.',
      );
    });

    test('holds thirty clusters with long reports', () => {
      const all = Array.from({ length: 30 }, (_, index) => ({
        identity: `cluster-${index}/0123456789ab`,
        body: `#### ${index}\n\n${big('x')}`,
        short: `#### ${index}\n\n${'y'.repeat(2000)}`,
      }));
      const text = write(...all);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(65_536);
      for (const { identity } of all) expect(text.includes(`begin: ${identity} -->`)).toBe(true);
    });

    test('refuses an entry instead of dropping a section', () => {
      const all = Array.from({ length: 400 }, (_, index) => ({
        identity: `c/${index}`,
        body: 'x',
      }));
      expect(() => write(...all.map((one) => ({ ...one, body: 'x'.repeat(400) })))).toThrow(
        /no room left for c\/\d+: .*comment: own/,
      );
    });
  });
});

describe('a comment of one cluster', () => {
  const single = createSingleComposer('orders/1');

  test('begins with a marker and a stamp', () => {
    expect(single.compose([], entry()).text).toBe(
      '<!-- postgres-cluster-action: orders/1 -->\n<!-- postgres-cluster-action run: 7/1 -->\nplanned',
    );
  });

  test('reads a stamp only from its own line', () => {
    const old = `${single.marker}\n\n${renderStamp({ id: 99, attempt: 1 })}`;
    expect(single.compose([old], entry()).refusal).toBeNull();
  });

  test('is shortened to fit', () => {
    const body = 'é'.repeat(33_000);
    expect(single.compose([], entry({ body, short: 'short' }))).toMatchObject({
      text: expect.stringMatching(/\nshort$/),
      shortened: true,
    });
  });
});

describe('readStamp', () => {
  test.each([
    undefined,
    '',
    'run: 1/1',
    '<!-- postgres-cluster-action run: 1 -->',
    '<!-- postgres-cluster-action run: x/1 -->',
    ' <!-- postgres-cluster-action run: 1/1 -->',
    `<!-- postgres-cluster-action run: ${'9'.repeat(30)}/1 -->`,
  ])('returns null for %j', (line) => {
    expect(readStamp(line)).toBeNull();
  });

  test('parses the output of renderStamp', () => {
    expect(readStamp(renderStamp({ id: 19_392_868_260, attempt: 12 }))).toEqual({
      id: 19_392_868_260,
      attempt: 12,
    });
  });
});
