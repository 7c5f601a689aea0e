import { expect, test } from 'vitest';
import { describeOpenings } from './openings.ts';

const open = (port: number, peer = '0.0.0.0/0') => ({ group: 'sg-1', port, peer });

test('ports that are open outside the description are named with the input that decides', () => {
  expect(describeOpenings({ openings: [] })).toEqual([]);
  expect(describeOpenings({ openings: [open(5432), open(22, 'sg-2')] })).toEqual([
    '0.0.0.0/0 may reach port 5432 of the nodes by a rule of sg-1 that was added outside Terraform. Remove the rule in EC2; a network that is to be admitted belongs in client-cidrs.',
    'sg-2 may reach port 22 of the nodes by a rule of sg-1 that was added outside Terraform. Remove the rule in EC2; a network that is to be admitted belongs in ssh-cidrs.',
  ]);
});

test('many are counted', () => {
  const found = describeOpenings({ openings: Array.from({ length: 9 }, () => open(22)) });
  expect(found).toHaveLength(6);
  expect(found.at(-1)).toBe('4 more rules of this kind are in EC2.');
});
