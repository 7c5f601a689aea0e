import { describe, expect, test } from 'vitest';
import { dataSources, resources } from './registry.ts';
import { type Block, loadSchemas, toProtocolBlock } from './schema.ts';

const schemas = loadSchemas();

test('every served resource has a schema, and every schema is served', () => {
  expect(Object.keys(resources).sort()).toEqual(Object.keys(schemas.resources).sort());
  expect(Object.keys(dataSources).sort()).toEqual(Object.keys(schemas.data_sources).sort());
});

test('the schemas name their source', () => {
  expect(schemas.source).toMatch(/^npm @cdktf\/provider-aws@21\./);
  expect(schemas.provider_version).toMatch(/^6\.\d+\.\d+$/);
});

// Spot checks against the provider's documentation.
test.each([
  ['aws_instance', 'public_ip', { type: 'string', computed: true }],
  [
    'aws_instance',
    'vpc_security_group_ids',
    { type: ['set', 'string'], optional: true, computed: true },
  ],
  ['aws_instance', 'force_destroy', { type: 'bool', optional: true }],
  ['aws_ebs_volume', 'availability_zone', { type: 'string', required: true }],
  ['aws_ebs_volume', 'size', { type: 'number', optional: true, computed: true }],
  ['aws_key_pair', 'tags', { type: ['map', 'string'], optional: true }],
  [
    'aws_route_table',
    'propagating_vgws',
    { type: ['set', 'string'], optional: true, computed: true },
  ],
])('%s.%s', (resource, name, expected) => {
  expect(schemas.resources[resource]?.attributes[name]).toEqual(expected);
});

test('blocks are nested as in the documentation', () => {
  const blocks = schemas.resources.aws_instance?.blocks;
  expect(blocks?.root_block_device).toMatchObject({ nesting: 'list', max: 1 });
  expect(blocks?.ebs_block_device).toMatchObject({ nesting: 'set' });
  expect(blocks?.timeouts).toMatchObject({ nesting: 'single' });
  expect(schemas.provider.blocks.default_tags).toMatchObject({ nesting: 'list' });
});

describe('planning rules', () => {
  /** Follows `block.attribute` into the schema. */
  function find(block: Block | undefined, [name = '', ...rest]: string[]): unknown {
    if (rest.length > 0) return find(block?.blocks[name]?.block, rest);
    return block?.attributes[name] ?? block?.blocks[name];
  }

  const paths = Object.entries(resources).flatMap(([type, { rules }]) => {
    const { forceNew, defaults = {}, computedBlocks = [], spellings = {} } = rules;
    return [
      ...forceNew,
      ...Object.keys(defaults),
      ...computedBlocks,
      ...Object.keys(spellings),
    ].map((path) => [type, path] as const);
  });
  test.each(paths)('%s: %s is in the schema', (type, path) => {
    expect(find(schemas.resources[type], path.split('.'))).toEqual(expect.any(Object));
  });
});

test('the protocol receives types as JSON and nesting as numbers', () => {
  const block: Block = {
    attributes: { tags: { type: ['map', 'string'], optional: true } },
    blocks: { disk: { nesting: 'set', min: 1, block: { attributes: {}, blocks: {} } } },
  };
  expect(toProtocolBlock(block)).toEqual({
    attributes: [{ name: 'tags', type: Buffer.from('["map","string"]'), optional: true }],
    block_types: [
      {
        type_name: 'disk',
        nesting: 3,
        min_items: 1,
        max_items: 0,
        block: { attributes: [], block_types: [] },
      },
    ],
  });
});
