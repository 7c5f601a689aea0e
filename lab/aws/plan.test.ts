import { describe, expect, test } from 'vitest';
import { planResource, type Rules } from './plan.ts';
import type { Block } from './schema.ts';
import { type Fields, UNKNOWN } from './values.ts';

const block: Block = {
  attributes: {
    id: { type: 'string', optional: true, computed: true },
    name: { type: 'string', optional: true },
    size: { type: 'number', optional: true, computed: true },
    peers: { type: ['set', 'string'], optional: true },
    flag: { type: 'bool', optional: true },
    rules: {
      type: ['set', ['object', { cidr: 'string', port: 'number' }]],
      optional: true,
      computed: true,
    },
    region: { type: 'string', optional: true, computed: true },
    tags: { type: ['map', 'string'], optional: true },
    tags_all: { type: ['map', 'string'], optional: true, computed: true },
  },
  blocks: {
    disk: {
      nesting: 'list',
      max: 1,
      block: {
        attributes: {
          encrypted: { type: 'bool', optional: true, computed: true },
          keep: { type: 'bool', optional: true },
        },
        blocks: {},
      },
    },
  },
};

const rules: Rules = {
  forceNew: ['name', 'peers', 'disk.encrypted'],
  defaults: { flag: true, 'disk.keep': false },
  computedBlocks: ['disk'],
};

const empty: Fields = {
  id: null,
  name: null,
  size: null,
  peers: null,
  flag: null,
  rules: null,
  region: null,
  tags: null,
  tags_all: null,
  disk: [],
};
const made: Fields = {
  ...empty,
  id: 'x-1',
  name: 'a',
  size: 8,
  peers: ['p', 'q'],
  flag: true,
  rules: [],
  region: 'us-east-1',
  tags_all: { Cluster: 'c' },
  disk: [{ encrypted: true, keep: false }],
};

/** Plans a configuration on top of the recorded state, with Terraform's own merge of both. */
function plan(
  config: Fields,
  prior: Fields | null = null,
  other: Partial<Parameters<typeof planResource>[0]> = {},
) {
  const given = { ...empty, ...config };
  const proposed = Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const kept =
        value === null && block.attributes[name]?.computed ? (prior?.[name] ?? null) : value;
      return [name, kept];
    }),
  );
  return planResource({
    block,
    rules,
    prior,
    proposed,
    config: given,
    region: 'us-east-1',
    defaultTags: { Cluster: 'c' },
    ...other,
  });
}

describe('the plan of a new resource', () => {
  test('has the configured values, the defaults, and unknown values for the rest', () => {
    expect(plan({ name: 'a', peers: ['q', 'p'] }).planned).toEqual({
      id: UNKNOWN,
      name: 'a',
      size: UNKNOWN,
      peers: ['q', 'p'],
      flag: true,
      rules: UNKNOWN,
      region: 'us-east-1',
      tags: null,
      tags_all: { Cluster: 'c' },
      disk: UNKNOWN,
    });
  });

  test('has defaults and unknown values inside a configured block', () => {
    expect(plan({ disk: [{ encrypted: null, keep: null }] }).planned.disk).toEqual([
      { encrypted: UNKNOWN, keep: false },
    ]);
  });

  test('does not know a set of which it does not know one element, unlike the newer framework', () => {
    const config = { peers: ['p', UNKNOWN] };
    expect(plan(config).planned.peers).toBe(UNKNOWN);
    const framework = plan(config, null, { rules: { ...rules, framework: true } });
    expect(framework.planned.peers).toEqual(['p', UNKNOWN]);
  });

  test('never requires a replacement', () => {
    expect(plan({ name: 'a' }).replace).toEqual([]);
  });
});

describe('the plan of an existing resource', () => {
  test('has no changes if nothing changed, in any order of a set', () => {
    const { planned, replace } = plan({ name: 'a', peers: ['q', 'p'], disk: [] }, made);
    expect({ ...planned, peers: made.peers }).toEqual(made);
    expect(replace).toEqual([]);
  });

  test.each<[string, Fields, unknown[]]>([
    ['another name', { name: 'b' }, [['name']]],
    ['an unknown name', { name: UNKNOWN }, [['name']]],
    ['another set', { peers: ['p'] }, [['peers']]],
    ['a changed block', { disk: [{ encrypted: false, keep: false }] }, [['disk', 0, 'encrypted']]],
    ['a removed block', { disk: [] }, []],
    ['another size', { size: 9 }, []],
    ['another region', { region: 'eu-west-1' }, [['region']]],
  ])('%s', (_name, config, expected) => {
    expect(plan({ name: 'a', peers: ['p', 'q'], ...config }, made).replace).toEqual(expected);
  });

  test('treats empty and absent as equal for the older SDK, and as different for the framework', () => {
    const prior = { ...made, tags: {}, peers: [] };
    expect(plan({ name: 'a' }, prior).planned).toMatchObject({ tags: {}, peers: [] });
    const framework = plan({ name: 'a' }, prior, { rules: { ...rules, framework: true } });
    expect(framework.planned).toMatchObject({ tags: null, peers: null });
  });

  test('has empty values for what is not set inside a list of objects', () => {
    const { planned } = plan({ name: 'a', rules: [{ cidr: '10.0.0.0/8', port: null }] }, made);
    expect(planned.rules).toEqual([{ cidr: '10.0.0.0/8', port: 0 }]);
  });
});

describe('tags_all', () => {
  test.each<[string, Fields, Fields | null, { [key: string]: string }, unknown]>([
    [
      'both kinds of tags',
      { tags: { Name: 'n' } },
      null,
      { Cluster: 'c' },
      { Cluster: 'c', Name: 'n' },
    ],
    ['own tags win', { tags: { Cluster: 'own' } }, null, { Cluster: 'c' }, { Cluster: 'own' }],
    ['an unknown tag', { tags: { Name: UNKNOWN } }, null, { Cluster: 'c' }, UNKNOWN],
    ['no tags on a new resource', {}, null, {}, UNKNOWN],
    ['all tags removed', {}, made, {}, UNKNOWN],
    ['still no tags', {}, { ...made, tags_all: {} }, {}, {}],
  ])('%s', (_name, config, prior, defaultTags, expected) => {
    expect(plan(config, prior, { defaultTags }).planned.tags_all).toEqual(expected);
  });
});
