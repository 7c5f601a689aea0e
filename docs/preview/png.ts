import { crc32, deflateSync, inflateSync } from 'node:zlib';

// A screenshot has a thousand shades of a few colours. With 256 colours it looks the same at a third of the size.

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const RGB = 2;
const PALETTE = 3;
const RGBA = 6;
const MAX_COLOURS = 256;

/** Pixels row by row, three bytes each: red, green, blue. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly bytes: Buffer;
}

/**
 * Reduces `png` to at most 256 colours: the most frequent stay, every other colour becomes the nearest of them. The
 * picture must be opaque. Throws as `decodePng` does.
 */
export function shrinkPng(png: Buffer): Buffer {
  return encodePalette(decodePng(png));
}

/**
 * Returns the pixels of `png` (W3C, "Portable Network Graphics Specification", section 9 on filters) without
 * transparency. Throws unless it is of the kind that browsers write: 8 bits, colour, not interlaced.
 */
export function decodePng(png: Buffer): Pixels {
  const chunks = listChunks(png);
  const head = chunks.find(({ type }) => type === 'IHDR')?.data;
  const [depth, colour, , , interlaced] = head?.subarray(8) ?? [];
  if (!head || depth !== 8 || (colour !== RGB && colour !== RGBA) || interlaced !== 0) {
    throw new Error(`Not a PNG with 8 bits of colour (found depth ${depth}, colour ${colour}).`);
  }
  const width = head.readUInt32BE(0);
  const height = head.readUInt32BE(4);
  const size = colour === RGBA ? 4 : 3;
  const data = chunks.filter(({ type }) => type === 'IDAT').map((chunk) => chunk.data);
  const rows = unfilter(inflateSync(Buffer.concat(data)), { length: width * size, height, size });
  if (size === 3) return { width, height, bytes: rows };
  const bytes = Buffer.alloc(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    rows.copy(bytes, pixel * 3, pixel * 4, pixel * 4 + 3);
  }
  return { width, height, bytes };
}

function listChunks(png: Buffer): { type: string; data: Buffer }[] {
  if (!png.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw new Error('Not a PNG.');
  const chunks = [];
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    chunks.push({ type, data: png.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  return chunks;
}

interface Rows {
  /** Bytes of a row, without the filter byte before it. */
  readonly length: number;
  readonly height: number;
  /** Bytes of a pixel. */
  readonly size: number;
}

function unfilter(filtered: Buffer, { length, height, size }: Rows): Buffer {
  const bytes = Buffer.alloc(length * height);
  for (let row = 0; row < height; row += 1) {
    const start = row * length;
    const filter = filtered[row * (length + 1)] ?? 0;
    for (let column = 0; column < length; column += 1) {
      const left = column < size ? 0 : (bytes[start + column - size] ?? 0);
      const up = row === 0 ? 0 : (bytes[start + column - length] ?? 0);
      const corner = column < size || row === 0 ? 0 : (bytes[start + column - length - size] ?? 0);
      const guess = predict(filter, { left, up, corner });
      bytes[start + column] = (filtered[row * (length + 1) + 1 + column] ?? 0) + guess;
    }
  }
  return bytes;
}

interface Neighbours {
  readonly left: number;
  readonly up: number;
  readonly corner: number;
}

function predict(filter: number, { left, up, corner }: Neighbours): number {
  switch (filter) {
    case 0:
      return 0;
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    case 4:
      return choosePaeth({ left, up, corner });
    default:
      throw new Error(`Not a PNG: there is no filter ${filter}.`);
  }
}

function choosePaeth({ left, up, corner }: Neighbours): number {
  const guess = left + up - corner;
  const [toLeft, toUp, toCorner] = [left, up, corner].map((side) => Math.abs(guess - side)) as [
    number,
    number,
    number,
  ];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function encodePalette({ width, height, bytes }: Pixels): Buffer {
  const colourAt = (pixel: number) => bytes.readUIntBE(pixel * 3, 3);
  const counts = new Map<number, number>();
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const colour = colourAt(pixel);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  // Equally frequent colours are ordered by value, so that the palette does not depend on their order in the picture.
  const ranked = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([colour]) => colour);
  const palette = ranked.slice(0, MAX_COLOURS);
  const places = new Map(ranked.map((colour) => [colour, findNearest(palette, colour)]));
  const rows = Buffer.alloc((width + 1) * height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      rows[row * (width + 1) + 1 + column] = places.get(colourAt(row * width + column)) ?? 0;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, PALETTE, 0, 0, 0], 8);
  return Buffer.concat([
    SIGNATURE,
    writeChunk('IHDR', head),
    writeChunk('PLTE', Buffer.from(palette.flatMap(splitColour))),
    writeChunk('IDAT', deflateSync(rows, { level: 9 })),
    writeChunk('IEND', Buffer.alloc(0)),
  ]);
}

function findNearest(palette: readonly number[], colour: number): number {
  const wanted = splitColour(colour);
  let best = { place: 0, distance: Number.POSITIVE_INFINITY };
  for (const [place, candidate] of palette.entries()) {
    const [red, green, blue] = splitColour(candidate);
    const distance = (red - wanted[0]) ** 2 + (green - wanted[1]) ** 2 + (blue - wanted[2]) ** 2;
    if (distance < best.distance) best = { place, distance };
  }
  return best.place;
}

function splitColour(colour: number): [number, number, number] {
  return [colour >> 16, (colour >> 8) & 0xff, colour & 0xff];
}

function writeChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
