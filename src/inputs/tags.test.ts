import { describe, expect, test } from 'vitest';
import { MINIMAL_FILE, readInputsFromFile } from './cluster-file-fixtures.ts';
import { readStep } from './input-fixtures.ts';

const TAGS = { Team: 'orders', 'Cost center': '0042', 'a/b': 'x = y', Empty: '' };

describe('tags', () => {
  test('can be lines, a map of a file, or an object of a request', async () => {
    const lines = 'Team=orders\n\n Cost center = 0042 \r\na/b=x = y\nEmpty=\n';
    expect(readStep({ tags: lines }).inputs?.spec.tags).toEqual(TAGS);
    const request = JSON.stringify({ tags: TAGS });
    expect(readStep({ request }).inputs?.spec.tags).toEqual(TAGS);
    const file = `${MINIMAL_FILE}tags:\n  Team: orders\n  Cost center: 0042\n  a/b: x = y\n  Empty: ''\n`;
    expect((await readInputsFromFile(file)).inputs?.spec.tags).toEqual(TAGS);
    expect(readStep({ request: '{"tags": {"Rank": 1, "Paid": true}}' }).inputs?.spec.tags).toEqual({
      Rank: '1',
      Paid: 'true',
    });
    expect(readStep().inputs?.spec.tags).toEqual({});
  });

  test.each<[string, RegExp]>([
    ['Team', /Line 1 has no =\.$/],
    ['Team=a\nOwner=b\nTeam=c', /Line 3 gives "Team" again\. Keep one of them\.$/],
    ['__proto__=a', /The key "__proto__" cannot be used\. Rename it\.$/],
    ['=a', /The key "" is not one of EC2/],
    ['Name=orders', /The cluster sets the tag "Name" itself\. Remove it\.$/],
    ['aws:cost=a', /The key "aws:cost" begins with aws:/],
    ['Te*m=a', /The key "Te\*m" is not one of EC2/],
    ['Team=a;b', /The value of "Team" is not one of EC2/],
    [`Team=${'x'.repeat(257)}`, /The value of "Team" is not one of EC2/],
    [`${'x'.repeat(129)}=a`, /is not one of EC2\. Allowed: 1 to 128/],
    [
      Array.from({ length: 41 }, (_, index) => `T${index}=a`).join('\n'),
      /Found 41 tags\. Allowed: at most 40\.$/,
    ],
  ])('%j is refused', (tags, expected) => {
    const { problems } = readStep({ tags });
    expect(problems).toEqual([expect.stringMatching(/^tags: /)]);
    expect(problems[0]).toMatch(expected);
  });

  test('in another order are the same', () => {
    const request = JSON.stringify({ tags: { Team: 'orders', Owner: 'me' } });
    expect(readStep({ request, tags: 'Owner=me\nTeam=orders' }).problems).toEqual([]);
    expect(readStep({ request, tags: 'Owner=me' }).problems).toHaveLength(1);
  });

  test.each<[string, number, RegExp]>([
    ['  __proto__: a\n', 5, /tags: The key "__proto__" cannot be used/],
    ['  Team: a\n  Node: b\n', 6, /tags: The cluster sets the tag "Node" itself/],
    ['  Team: a\n  Owner: b\n  Team: c\n', 7, /tags: .*Team.* is given twice/],
    ['  Team: a\n  Owner:\n', 6, /tags: .*Owner.* has no value/],
    ['  Team: [a]\n', 5, /tags: .*Team.* is not a single value/],
    ['  Team: a\n  "x\\ny": b\n', 6, /tags: The key "x\\ny" is not one of EC2/],
    ['  - Team=a\n', 4, /tags: not a map/],
  ])('a problem of a file names the line: %j', async (text, line, expected) => {
    const { problems } = await readInputsFromFile(`${MINIMAL_FILE}tags:\n${text}`);
    expect(problems).toEqual([expect.stringContaining(`clusters/orders.yml:${line}: `)]);
    expect(problems[0]).toMatch(expected);
  });

  test.each<[unknown, RegExp]>([
    [{ Team: 'a\nOwner=b' }, /request\.tags: "Team" is not allowed/],
    [{ 'Team=a\nOwner': 'b' }, /request\.tags: .* is not allowed/],
    [{ Team: { a: 'b' } }, /request\.tags: "Team" is not allowed/],
    [null, /^request\.tags: "null" is not allowed\. Give an object/],
    [{ Team: null }, /request\.tags: "Team" is not allowed/],
    [['Team=a'], /request\.tags: a list is not allowed/],
    [{ Node: 'a' }, /request\.tags: The cluster sets the tag "Node" itself/],
  ])('a value of a request becomes no other tag: %j', (tags, expected) => {
    const { problems } = readStep({ request: JSON.stringify({ tags }) });
    expect(problems).toEqual([expect.stringMatching(expected)]);
  });
});
