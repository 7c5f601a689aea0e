import { expect, test } from 'vitest';
import { renderMarker } from './marker.ts';

test.each(['', 'a b', 'x-->', '<!--', 'a\nb'])(
  'renderMarker refuses the identity %j',
  (identity) => {
    expect(() => renderMarker(identity)).toThrow(/cannot be hidden/);
  },
);
