import { decode, Encoder, ExtensionCodec } from '@msgpack/msgpack';
import type { Block, CtyType } from './schema.ts';

/** A value that Terraform knows only after apply. There is one such object; compare with `===`. */
export const UNKNOWN = Object.freeze({ toJSON: () => '(known after apply)' });

/** A Terraform value: null, a scalar, `UNKNOWN`, an array (list or set) or a record (map, object or block). */
export type Value = null | string | number | boolean | typeof UNKNOWN | Value[] | Fields;

/** A block's or object's values by attribute name. */
export interface Fields {
  [name: string]: Value;
}

// Terraform writes an unknown as extension 0, or as extension 12 when it knows something about the value.
const codec = new ExtensionCodec();
codec.register({
  type: 0,
  encode: (value) => (value === UNKNOWN ? new Uint8Array([0]) : null),
  decode: () => UNKNOWN,
});
codec.register({ type: 12, encode: () => null, decode: () => UNKNOWN });
const encoder = new Encoder({ extensionCodec: codec });

/** Reads one value from Terraform's MessagePack encoding; an empty buffer is null. */
export function decodeValue(bytes: Uint8Array | undefined): Value {
  if (bytes === undefined || bytes.length === 0) return null;
  return decode(bytes, { extensionCodec: codec }) as Value;
}

/** Writes one value in Terraform's MessagePack encoding. */
export function encodeValue(value: Value): Uint8Array {
  return encoder.encode(value);
}

/** True for a block's or object's values: not null, not a scalar, not a list, not `UNKNOWN`. */
export function isFields(value: Value | undefined): value is Fields {
  return typeof value === 'object' && value !== null && value !== UNKNOWN && !Array.isArray(value);
}

/** True if the value is or contains a value known only after apply. */
export function hasUnknown(value: Value): boolean {
  if (value === UNKNOWN) return true;
  if (Array.isArray(value)) return value.some(hasUnknown);
  return isFields(value) && Object.values(value).some(hasUnknown);
}

/** True for values that Terraform's older plugin SDK cannot distinguish from an argument that is not set. */
export function isZero(value: Value | undefined): boolean {
  if (value === null || value === undefined || value === '' || value === 0 || value === false)
    return true;
  if (Array.isArray(value)) return value.length === 0;
  return isFields(value) && Object.keys(value).length === 0;
}

/** A text that is equal for equal values; arrays of sets are compared without their order. */
function writeKey(value: Value, unordered: boolean): string {
  if (Array.isArray(value)) {
    const keys = value.map((item) => writeKey(item, unordered));
    return `[${(unordered ? keys.sort() : keys).join()}]`;
  }
  if (isFields(value)) {
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${name}:${writeKey(value[name] ?? null, unordered)}`).join()}}`;
  }
  return JSON.stringify(value);
}

/** True if both values are the same; the order within sets does not count. */
export function isSame(left: Value, right: Value, type?: CtyType): boolean {
  const unordered = Array.isArray(type) && type[0] === 'set';
  return writeKey(left, unordered) === writeKey(right, unordered);
}

/** Every attribute of a block at its empty value: null, and no element in nested blocks. */
export function emptyFields(block: Block): Fields {
  const fields: Fields = {};
  for (const name of Object.keys(block.attributes)) fields[name] = null;
  for (const [name, nested] of Object.entries(block.blocks))
    fields[name] = nested.nesting === 'single' ? null : [];
  return fields;
}

/** Reduces the fields to exactly the names of the block: drops unknown names, fills missing ones with empty values. */
export function shapeFields(fields: Fields, block: Block): Fields {
  const shaped = emptyFields(block);
  for (const name of Object.keys(shaped)) {
    const value = fields[name];
    if (value === undefined) continue;
    const nested = block.blocks[name];
    if (nested && Array.isArray(value)) {
      shaped[name] = value.map((item) => (isFields(item) ? shapeFields(item, nested.block) : item));
    } else if (nested && isFields(value)) {
      shaped[name] = shapeFields(value, nested.block);
    } else {
      shaped[name] = shapeAttribute(value, block.attributes[name]?.type);
    }
  }
  return shaped;
}

function shapeAttribute(value: Value, type: CtyType | undefined): Value {
  if (!Array.isArray(type) || value === null || value === UNKNOWN) return value;
  if (type[0] === 'object' && isFields(value)) {
    return Object.fromEntries(
      Object.entries(type[1]).map(([name, inner]) => [
        name,
        shapeAttribute(value[name] ?? null, inner),
      ]),
    );
  }
  if (type[0] !== 'map' && type[0] !== 'object' && Array.isArray(value)) {
    return value.map((item) => shapeAttribute(item, type[1]));
  }
  return value;
}

/** Replaces values that are still unknown when a step fails by empty ones. */
export function dropUnknown(value: Value): Value {
  if (value === UNKNOWN) return null;
  if (Array.isArray(value)) return value.map(dropUnknown);
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, dropUnknown(item)]));
}

/** The fields that have no unknown part. */
export function pickKnown(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => isSame(value, dropUnknown(value))),
  );
}
