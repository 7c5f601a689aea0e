import { expect, test } from 'vitest';
import { PlaybookError } from '../ansible/playbook-error.ts';
import { UnreachableError } from '../operations/reachability.ts';
import { describeError } from './describe-error.ts';

const fail = (node: string, message: string) => ({
  ...{ node, step: 'clone', task: 'Copy', time: 0, message, log: '' },
});
const count = (unreachable: number) => ({
  ok: 1,
  changed: 0,
  failures: 1 - unreachable,
  unreachable,
});
const playbookError = new PlaybookError(
  {
    ...{ observations: [], proof: [], changes: [], notes: [], pending: [] },
    stats: { 'node-2': count(0), 'node-3': count(1) },
    failures: [fail('node-2', 'no space'), fail('node-3', 'Connection reset')],
  },
  { explanation: ['node-3 does not answer.'], cause: null },
);
const unreachableError = new UnreachableError(['node-3 cannot be reached.'], {
  failures: ['node-2: no space'],
  transcripts: ['node-3: timed out'],
});

test.each([
  [
    'lost nodes beside a failed step',
    playbookError,
    {
      error: 'node-2: Copy: no space',
      explanation: ['node-3 does not answer.'],
      transcripts: ['node-3: Copy: Connection reset'],
    },
  ],
  [
    'nodes that were never reached',
    unreachableError,
    {
      error: 'node-2: no space',
      explanation: ['node-3 cannot be reached.'],
      transcripts: ['node-3: timed out'],
    },
  ],
  ['any other error', new Error('it failed'), { error: 'it failed' }],
])(
  'a report keeps apart, where it can, the messages and the sentences of %s',
  (_, error, parts) => {
    expect(describeError(error)).toEqual(parts);
  },
);
