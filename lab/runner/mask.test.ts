import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Masker } from './mask.ts';

const secret = `p"a's&s <w>ö%rd`;

test.each([
  ['as it is', `x ${secret} y`, 'x *** y'],
  ['twice', `${secret}-${secret}`, '***-***'],
  ['touching', secret + secret, '***'],
  ['in JSON', JSON.stringify({ secret }), '{"secret":"***"}'],
  [
    'in a URI',
    `postgres://u:${encodeURIComponent(secret).replaceAll("'", '%27')}@h`,
    'postgres://u:***@h',
  ],
  ['in base64', Buffer.from(secret).toString('base64'), '***'],
  ['in XML', 'p&quot;a&apos;s&amp;s &lt;w&gt;ö%rd', '***'],
  ['only a part', secret.slice(1), secret.slice(1)],
])('hides a secret %s', (_case, text, masked) => {
  const masker = new Masker();
  masker.add(secret);
  expect(masker.mask(text)).toBe(masked);
});

test('hides every line of a secret, and nothing for a blank one', () => {
  const masker = new Masker();
  masker.add('-----BEGIN KEY-----\n  c2VjcmV0\n\n');
  masker.add(' ');
  expect(masker.mask('a c2VjcmV0 b')).toBe('a *** b');
});

test('never leaves a secret visible, in any surroundings', () => {
  const word = fc.string({ minLength: 4, maxLength: 12 }).filter((text) => /^[^\s*]+$/.test(text));
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 3 }),
      fc.string(),
      fc.string(),
      (secrets, before, after) => {
        const masker = new Masker();
        for (const value of secrets) masker.add(value);
        const masked = masker.mask(`${before}${secrets.join('')}${after}`);
        for (const value of secrets) expect(masked).not.toContain(value);
      },
    ),
  );
});
