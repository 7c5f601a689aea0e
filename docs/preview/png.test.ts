import { readFileSync } from 'node:fs';
import { crc32, deflateSync, inflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decodePng, shrinkPng } from './png.ts';

const chunk = (type: string, data: Uint8Array): Buffer => {
  const frame = Buffer.alloc(12 + data.length);
  frame.writeUInt32BE(data.length, 0);
  frame.write(type, 4, 'latin1');
  frame.set(data, 8);
  frame.writeUInt32BE(crc32(frame.subarray(4, 8 + data.length)), 8 + data.length);
  return frame;
};

/** Builds a PNG from rows that are already filtered. */
function createPng(
  rows: readonly (readonly number[])[],
  { width, colour = 2, depth = 8 }: { width: number; colour?: number; depth?: number },
): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(rows.length, 4);
  head.set([depth, colour], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(Buffer.from(rows.flat()))),
    chunk('IEND', new Uint8Array()),
  ]);
}

describe('decodePng', () => {
  test('undoes every filter', () => {
    const png = createPng(
      [
        [0, 10, 20, 30, 40, 50, 60],
        [1, 1, 2, 3, 1, 1, 1],
        [2, 1, 1, 1, 1, 1, 1],
        [3, 1, 1, 1, 1, 1, 1],
        [4, 1, 1, 1, 1, 1, 1],
      ],
      { width: 2 },
    );
    const rows = [
      [10, 20, 30, 40, 50, 60],
      [1, 2, 3, 2, 3, 4],
      [2, 3, 4, 3, 4, 5],
      [2, 2, 3, 3, 4, 5],
      [3, 3, 4, 4, 5, 6],
    ];
    expect([...decodePng(png).bytes]).toEqual(rows.flat());
  });

  test('drops transparency', () => {
    const png = createPng([[0, 1, 2, 3, 255, 4, 5, 6, 255]], { width: 2, colour: 6 });
    expect([...decodePng(png).bytes]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test.each([
    ['no PNG', Buffer.from('GIF89a, not a PNG'), 'Not a PNG.'],
    ['16 bits', createPng([[0]], { width: 1, depth: 16 }), 'found depth 16'],
    ['an unknown filter', createPng([[5, 0, 0, 0]], { width: 1 }), 'no filter 5'],
  ])('refuses %s', (_what, png, message) => {
    expect(() => decodePng(png)).toThrow(message);
  });
});

describe('shrinkPng', () => {
  test('keeps the most frequent colours and takes the nearest for the others', () => {
    // 256 greys twice, and one colour once that is replaced.
    const greys = Array.from({ length: 256 }, (_, grey) => [grey, grey, grey]).flat();
    const width = 513;
    const png = shrinkPng(createPng([[0, ...greys, ...greys, 100, 101, 100]], { width }));
    expect(png.toString('latin1')).toContain('PLTE');
    const palette = png.subarray(png.indexOf('PLTE') + 4);
    expect(png.readUInt32BE(png.indexOf('PLTE') - 4)).toBe(256 * 3);
    expect([...palette.subarray(0, 6)]).toEqual([0, 0, 0, 1, 1, 1]);
    const row = inflateSync(png.subarray(png.indexOf('IDAT') + 4, png.indexOf('IEND') - 8));
    expect([row[1], row[256], row.at(-1)]).toEqual([0, 255, 100]);
  });

  test('writes a palette image that decodes to the same pixels', () => {
    const png = shrinkPng(createPng([[0, 1, 2, 3]], { width: 1 }));
    expect(() => decodePng(png)).toThrow('colour 3');
  });
});

test('the pictures of the README are small', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const files = [...readme.matchAll(/docs\/images\/[\w-]+\.png/g)].map(([file]) => file);
  for (const file of files) {
    const { length } = readFileSync(new URL(`../../${file}`, import.meta.url));
    expect(length, file).toBeLessThanOrEqual(150_000);
  }
});
