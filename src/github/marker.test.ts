import { expect, it } from 'vitest';
import { renderMarker } from './marker.ts';

it.each(['', 'a b', 'x-->', '<!--', 'a\nb'])('renderMarker refuses the identity %j', (identity) => {
  expect(() => renderMarker(identity)).toThrow(/cannot be hidden/);
});
