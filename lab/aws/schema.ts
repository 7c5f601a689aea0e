import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A Terraform type in the form its protocol uses: `"string"`, `["set","string"]`, `["object",{…}]`. */
export type CtyType =
  | 'string'
  | 'number'
  | 'bool'
  | ['list' | 'set' | 'map', CtyType]
  | ['object', { [name: string]: CtyType }];

/** One argument or exported value. */
export interface Attribute {
  readonly type: CtyType;
  readonly required?: boolean;
  readonly optional?: boolean;
  readonly computed?: boolean;
}

/** A nested block and how often it may occur. */
export interface NestedBlock {
  readonly nesting: 'single' | 'list' | 'set';
  readonly min?: number;
  readonly max?: number;
  readonly block: Block;
}

export interface Block {
  readonly attributes: { readonly [name: string]: Attribute };
  readonly blocks: { readonly [name: string]: NestedBlock };
}

/** The contents of `schemas.json`, which `extract-schemas.ts` writes. */
export interface Schemas {
  readonly source: string;
  readonly provider_version: string;
  readonly provider: Block;
  readonly resources: { readonly [name: string]: Block };
  readonly data_sources: { readonly [name: string]: Block };
}

/** Reads the schemas of the real provider from `schemas.json`. */
export function loadSchemas(): Schemas {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'schemas.json'), 'utf8'));
}

const NESTING_CODES = { single: 1, list: 2, set: 3 } as const;

/** A block as protocol 5's `Schema.Block` message: types as JSON bytes, nesting as the enum's number. */
export function toProtocolBlock(block: Block): object {
  return {
    attributes: Object.entries(block.attributes).map(([name, { type, ...flags }]) => ({
      name,
      type: Buffer.from(JSON.stringify(type)),
      ...flags,
    })),
    block_types: Object.entries(block.blocks).map(([type_name, nested]) => ({
      type_name,
      nesting: NESTING_CODES[nested.nesting],
      min_items: nested.min ?? 0,
      max_items: nested.max ?? 0,
      block: toProtocolBlock(nested.block),
    })),
  };
}
