import { expect, test } from 'vitest';
import { parseActionMetadata } from './metadata.ts';

const minimal = 'name: N\ndescription: D\nruns: { using: node24, main: main.js }\n';

test('reads an action and adds the same defaults as GitHub', () => {
  const action = parseActionMetadata(`${minimal}inputs:
  replica-count: { description: How many, default: 2 }
  dry-run: { description: Whether, default: true, required: false }
  token: { description: Secret, required: true }
outputs:
  plan-json: { description: Path }
`);
  expect(action.runs).toMatchObject({ main: 'main.js', 'post-if': 'always()' });
  expect(action.inputs).toEqual({
    'replica-count': { description: 'How many', default: '2', required: false },
    'dry-run': { description: 'Whether', default: 'true', required: false },
    token: { description: 'Secret', required: true },
  });
  expect(Object.keys(action.outputs)).toEqual(['plan-json']);
});

test.each([
  [minimal.replace('node24', 'node20'), /node24 actions only[\s\S]*runs\.using/],
  [minimal.replace('name: N', ''), /name/],
  [`${minimal}inputs: { a: {} }`, /inputs\.a\.description/],
])('refuses %j', (text, message) => {
  expect(() => parseActionMetadata(text)).toThrow(message);
});
