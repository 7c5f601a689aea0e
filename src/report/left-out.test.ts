import { expect, test } from 'vitest';
import { createDesired } from '../cluster/testing/fixtures.ts';
import { createPlan } from './fixtures/plan.ts';
import { createPlanReport } from './fixtures/report.ts';
import { listLeftOut } from './left-out.ts';
import { renderPlanComment } from './plan-comment.ts';

const { nodes } = createDesired();
const states = { 'node-2': 'running' };

test('nothing is listed if all nodes can be reached', () => {
  expect(listLeftOut(null, { nodes, states })).toEqual([]);
});

test('a node that was left out, its state in EC2 and how to bring it back', () => {
  const sentences = listLeftOut({ nodes: ['node-2'], deferred: [] }, { nodes, states });
  expect(sentences).toEqual([
    expect.stringMatching(/^Left out: node-2, .*not part of the proof/),
    expect.stringMatching(/^node-2 .*EC2 says: running.*reboot.*replace: node-2/),
  ]);
  // A comment cuts longer sentences.
  for (const sentence of sentences) expect(sentence.length).toBeLessThan(600);
});

test('each deferred part of the change', () => {
  const [, , ...rest] = listLeftOut(
    {
      nodes: ['node-2'],
      deferred: [
        {
          kind: 'restart',
          nodes: ['node-1', 'node-3'],
          settings: ['max_connections'],
          image: true,
        },
        { kind: 'restart', nodes: ['node-1'], settings: [], image: false },
        { kind: 'resize', nodes: ['node-3'], instanceType: 't3.large' },
        { kind: 'switchover', to: 'node-3' },
        { kind: 'remove', nodes: ['node-4'] },
        { kind: 'synchronous', from: 0, to: 2 },
      ],
    },
    { nodes, states },
  );
  const parts = rest.map((sentence) => /at a time: (.*)\. Run this again/.exec(sentence)?.[1]);
  expect(parts).toEqual([
    'the restart of node-1, node-3 (max_connections, another image)',
    'the restart of node-1 (a container made anew)',
    'the instance type t3.large of node-3',
    'the switchover to node-3',
    'the removal of node-4',
    'synchronous-replicas 2 instead of 0, for which too few replicas can be reached',
  ]);
});

test('the comment on a plan does not claim that every node runs as asked', () => {
  const leftOut = { nodes: ['node-2'], deferred: [] };
  const comment = renderPlanComment(
    createPlanReport(createPlan([]), {
      database: {
        kind: 'steps',
        primary: 'node-1',
        steps: [],
        observeAgain: false,
        deferral: leftOut,
      },
      warnings: listLeftOut(leftOut, { nodes, states }),
    }),
  );
  expect(comment).toContain('Nothing to do now on the nodes that can be reached.');
  expect(comment).toMatch(/\[!WARNING\]\n> - Left out: node-2, /);
  expect(comment).not.toContain('every node already runs');
});
