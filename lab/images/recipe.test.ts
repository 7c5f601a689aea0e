import { describe, expect, test } from 'vitest';
import { catalogue, type ImageName, imageNames, listBases, nameHost } from './catalogue.ts';
import { hashRecipe, tagImage } from './recipe.ts';

describe('listBases', () => {
  test.each<[ImageName, ImageName[]]>([
    ['bookworm', []],
    ['host', ['host-plain', 'trixie']],
    ['host-12', ['host-12-plain', 'bookworm']],
    ['postgres-17-2', ['postgres-17', 'trixie']],
  ])('%s is built on %j', (name, bases) => {
    expect(listBases(name)).toEqual(bases);
  });

  test('names the existing images if the requested one is unknown', () => {
    expect(() => listBases('hosts' as ImageName)).toThrow(/"hosts".*host-plain/);
  });
});

describe('hashRecipe', () => {
  test('differs between any two recipes', () => {
    expect(new Set(imageNames.map(hashRecipe)).size).toBe(imageNames.length);
  });

  test('is the same on every call', () => {
    expect(hashRecipe('host')).toBe(hashRecipe('host'));
  });
});

test('a tag is a name and twelve digits of the hash', () => {
  expect(tagImage('host')).toBe(`pgca-lab/host:${hashRecipe('host').slice(0, 12)}`);
});

test('hosts of both releases differ in their base only', () => {
  for (const plain of [false, true]) {
    const [older, newer] = [nameHost('12', { plain }), nameHost('13', { plain })] as const;
    expect(catalogue[older]).toEqual({ ...catalogue[newer], base: listBases(older)[0] });
  }
  expect(listBases(nameHost('13')).at(-1)).toBe('trixie');
});

test('every image is built after its bases', () => {
  for (const name of imageNames) {
    for (const base of listBases(name)) {
      expect(imageNames.indexOf(base), `${base} before ${name}`).toBeLessThan(
        imageNames.indexOf(name),
      );
    }
  }
});
