import { describe, expect, test } from 'vitest';
import { PlaybookError } from '../ansible/playbook-error.ts';
import type { ProgressAnswer } from '../ansible/progress.ts';
import type { AnsibleResult } from '../ansible/result.ts';
import type { NodeProgress, NodeWork } from '../cluster/progress.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { createDesired } from '../cluster/testing/fixtures.ts';
import { CancelledError, UserError } from '../messages/errors.ts';
import type { Clock } from './clock.ts';
import { performSteps } from './perform-steps.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const MIB = 1024 ** 2;

const common = { primary: 'node-1', settings: {} };
const PREPARE: Step = { kind: 'prepare', nodes: ['node-1', 'node-2', 'node-3'] };
const copy = { source: 'node-1', maxRate: null, neededBytes: {} };
const CLONE_2: Step = { kind: 'clone', nodes: ['node-2'], ...common, ...copy };
const CLONE_3: Step = { kind: 'clone', nodes: ['node-3'], ...common, ...copy };
const RELOAD: Step = { kind: 'reload', nodes: ['node-1'], ...common };
const STEPS = [PREPARE, CLONE_2, CLONE_3, RELOAD];

const PROOF = [{ name: 'node-1' }] as unknown as AnsibleResult['proof'];
const SILENT: ProgressAnswer = { kind: 'silent' };
const NONE: ProgressAnswer = { kind: 'none' };

function answer(progress: Partial<NodeProgress> = {}): ProgressAnswer {
  return {
    kind: 'progress',
    progress: {
      kind: 'copy',
      ...{ done: 0, total: 1_000 * MIB, started: 0, updated: 0, working: true },
      ...progress,
    },
  };
}

function report(changes: Partial<AnsibleResult> = {}): AnsibleResult {
  const nothing = { observations: [], proof: [], stats: {}, changes: [], failures: [], notes: [] };
  return { ...nothing, pending: [], ...changes };
}

const pendingOn = (node: string, step = 'clone') => report({ pending: [{ node, step }] });

function lose(node: string, step: string): PlaybookError {
  const failures = [{ node, step, task: 'Copy', time: 0, message: 'Connection reset', log: '' }];
  const stats = { [node]: { ok: 0, changed: 0, failures: 0, unreachable: 1 } };
  const explanation = [`${node}: lost`];
  return new PlaybookError(report({ failures, stats }), { explanation, cause: null });
}

/** A call to the nodes: what it returns or throws, and how long it takes. */
type Call = readonly [result: AnsibleResult | Error, ms?: number];

/** Runs against nodes that follow a script; `ask` returns what a node answers at a time in ms. */
function script(
  calls: readonly Call[],
  ask: (now: number, node: string) => ProgressAnswer = () => NONE,
  { deadline = Number.POSITIVE_INFINITY }: { deadline?: number } = {},
) {
  let now = 0;
  const clock: Clock = {
    now: () => now,
    // Whatever runs beside a sleep goes first.
    async sleep(ms, signal) {
      if (signal?.aborted) return;
      if (signal) {
        await new Promise<void>((resolve) => {
          waiting.push({ at: now + ms, resolve });
          signal.addEventListener('abort', () => resolve());
        });
      } else now += ms;
    },
  };
  const waiting: { at: number; resolve: () => void }[] = [];
  const advance = async (ms: number) => {
    const end = now + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = waiting.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      now = Math.max(now, next.at);
      waiting.splice(waiting.indexOf(next), 1);
      next.resolve();
    }
    now = end;
  };
  const performed: string[][] = [];
  const log: string[] = [];
  const work: (readonly NodeWork[])[] = [];
  const looks: number[] = [];
  const nodes: Parameters<typeof performSteps>[0] = {
    async perform({ steps }) {
      const [result, ms = SECOND] = calls[performed.length] ?? [report({ proof: PROOF })];
      performed.push(steps.map(({ kind, nodes: names }) => `${kind} ${names.join(' ')}`));
      await advance(ms);
      if (result instanceof Error) throw result;
      return result;
    },
    async readProgress() {
      looks.push(now);
      return new Map(['node-1', 'node-2', 'node-3'].map((node) => [node, ask(now, node)]));
    },
  };
  const run = performSteps(
    nodes,
    {
      ...{ primary: 'node-1', steps: STEPS, proofToken: 'token', image: null },
      collationLabel: { input: '', label: null, labels: null },
    },
    {
      ...{ target: createDesired(), deadline, clock, onNotes: () => {} },
      log: (line) => log.push(line),
      onWork: (all) => work.push(all),
    },
  );
  return { run, performed, log, work, looks, clock };
}

const LAST = ['clone node-3', 'reload node-1'];

describe('steps that end at once', () => {
  test('are performed once, and nobody is asked for progress', async () => {
    const { run, performed, looks } = script([[report({ proof: PROOF })]]);
    expect(await run).toMatchObject({ proof: PROOF, work: [] });
    expect(performed).toHaveLength(1);
    expect(looks).toEqual([]);
  });

  test('report progress if the call is long', async () => {
    const copying = (now: number) => answer({ done: (now / SECOND) * MIB, updated: now / SECOND });
    const { run, looks, work } = script([[report({ proof: PROOF }), 20 * SECOND]], copying);
    await run;
    expect(looks.map((ms) => ms / SECOND)).toEqual([5, 9, 13, 17]);
    expect(work[1]).toMatchObject([
      { node: 'node-1', done: 9 * MIB, rate: MIB },
      { node: 'node-2' },
      { node: 'node-3' },
    ]);
    expect(work.at(-1)).toEqual([]);
  });
});

describe('a step that stays pending', () => {
  test('is watched and performed again, without the steps before it', async () => {
    const { run, performed, clock } = script(
      [[pendingOn('node-2')], [pendingOn('node-3')]],
      (now) => answer({ updated: now, working: now % (10 * MINUTE) < 8 * MINUTE }),
    );
    expect(await run).toMatchObject({ proof: PROOF, work: [] });
    expect(performed).toEqual([
      ['prepare node-1 node-2 node-3', 'clone node-2', ...LAST],
      ['clone node-2', ...LAST],
      LAST,
    ]);
    expect(clock.now()).toBeGreaterThan(8 * MINUTE);
  });

  test('returns the changes of all calls', async () => {
    const change = (step: string) => ({ node: 'node-2', step, task: 'Do it' });
    const { run } = script([
      [report({ changes: [change('prepare')], pending: [{ node: 'node-2', step: 'clone' }] })],
      [report({ changes: [change('clone')], proof: PROOF })],
    ]);
    expect((await run).changes.map(({ step }) => step)).toEqual(['prepare', 'clone']);
  });

  test.each<[string, (now: number) => ProgressAnswer]>([
    ['no progress file', () => NONE],
    ['a file that does not change', () => answer({ updated: 7 })],
  ])('is performed again after a while with %s, ever more rarely', async (_, ask) => {
    const times: number[] = [];
    const started = Array.from({ length: 8 }, (): Call => [pendingOn('node-2'), 0]);
    const { run, clock, performed } = script(started, (now) => {
      if (times.length < performed.length) times.push(now);
      return ask(now);
    });
    await run;
    const gaps = times
      .slice(1)
      .map((time, index) => Math.round((time - (times[index] ?? 0)) / SECOND));
    expect(gaps.every((gap, index) => gap >= (gaps[index - 1] ?? 0))).toBe(true);
    expect(gaps[0]).toBeLessThan(45);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(300);
    expect(clock.now()).toBeLessThan(30 * MINUTE);
  });

  test('is not performed again and again if a node says that it does nothing', async () => {
    const calls = Array.from({ length: 200 }, (): Call => [pendingOn('node-2'), 0]);
    const { run, performed } = script(calls, () => answer({ working: false }), {
      deadline: 60 * MINUTE,
    });
    await run;
    expect(performed.length).toBeLessThan(70);
  });
});

describe('when the time of the run is over', () => {
  const copying = (now: number) => answer({ done: now * 1_000, updated: now / SECOND });

  test('a pending step is left to the node', async () => {
    const { run, clock, work, performed } = script([[pendingOn('node-2')]], copying, {
      deadline: MINUTE,
    });
    const result = await run;
    expect(result.proof).toEqual([]);
    expect(result.work).toContainEqual(expect.objectContaining({ node: 'node-2', kind: 'copy' }));
    expect(clock.now()).toBe(MINUTE);
    expect(performed).toHaveLength(1);
    expect(work.at(-1)).not.toEqual([]);
  });

  test('a node without news is named with its step', async () => {
    const { run } = script([[pendingOn('node-2')]], () => NONE, { deadline: SECOND });
    expect((await run).work).toEqual([{ kind: 'step', node: 'node-2', step: 'clone' }]);
  });

  test('steps that end are proved nevertheless', async () => {
    const { run } = script([[report({ proof: PROOF })]], copying, { deadline: 0 });
    expect(await run).toMatchObject({ proof: PROOF, work: [] });
  });
});

test('a cancel names the work that goes on, even before it has reported anything', async () => {
  const { run, work } = script([[pendingOn('node-2')], [new CancelledError('ansible-playbook')]]);
  await expect(run).rejects.toBeInstanceOf(CancelledError);
  expect(work.at(-1)).toEqual([{ kind: 'step', node: 'node-2', step: 'clone' }]);
});

test('a failure asks once more which nodes still work', async () => {
  const calls: Call[] = [[pendingOn('node-2')], [new UserError('node-2: no space'), 0]];
  let asked = 0;
  // Node 3 works until the failure.
  const { run, work } = script(calls, (now, node) => {
    if (node === 'node-3') asked += 1;
    return answer({ updated: now, working: now < 20 * SECOND || (node === 'node-3' && asked < 6) });
  });
  await expect(run).rejects.toThrow('no space');
  expect(work.at(-2)).toMatchObject([{ node: 'node-3', kind: 'copy' }]);
  expect(work.at(-1)).toEqual([]);
});

describe('a lost connection', () => {
  test('while watching is not a failure', async () => {
    const { run, log } = script([[pendingOn('node-2')]], (now) => {
      const minutes = now / MINUTE;
      if (minutes > 2 && minutes < 11) return SILENT;
      return answer({ updated: now, working: minutes < 15 });
    });
    expect(await run).toMatchObject({ proof: PROOF, work: [] });
    expect(log).toEqual([
      expect.stringMatching(/^node-2 does not answer SSH.*10 minutes/),
      'node-2 answers again',
    ]);
  });

  test('of more than ten minutes fails, and says that nothing is lost', async () => {
    const { run, clock } = script([[pendingOn('node-2')]], () => SILENT);
    await expect(run).rejects.toThrow(
      /^node-2 has not answered SSH for 10 minutes.*goes on.*, deploy:/,
    );
    await expect(run).rejects.toBeInstanceOf(UserError);
    expect(clock.now()).toBeLessThan(11 * MINUTE);
  });

  test.each(['clone', 'start', 'backup'])(
    'during %s: the step is performed again',
    async (kind) => {
      const { run, performed } = script([[lose('node-2', kind)], [lose('node-2', kind)]], (now) =>
        now < 3 * MINUTE ? SILENT : answer({ updated: now, working: now < 4 * MINUTE }),
      );
      expect(await run).toMatchObject({ proof: PROOF, work: [] });
      expect(performed).toHaveLength(3);
      if (kind === 'clone') expect(performed[2]).toEqual(['clone node-2', ...LAST]);
    },
  );

  test('during clone fails the fourth time in a row', async () => {
    const calls = Array.from({ length: 5 }, (): Call => [lose('node-2', 'clone')]);
    const { run, performed } = script(calls, () => answer({ working: false }));
    await expect(run).rejects.toThrow('node-2: lost');
    expect(performed).toHaveLength(4);
  });

  test('counts anew after a call that got through', async () => {
    const lost: Call = [lose('node-2', 'clone')];
    const calls = [lost, lost, [pendingOn('node-2')] as Call, lost, lost];
    const { run, performed } = script(calls, () => answer({ working: false }));
    expect(await run).toMatchObject({ work: [] });
    expect(performed).toHaveLength(6);
  });

  test.each(['restart', 'switchover', 'prepare'])('during %s fails', async (kind) => {
    const { run, performed } = script([[lose('node-2', kind)]]);
    await expect(run).rejects.toThrow('node-2: lost');
    expect(performed).toHaveLength(1);
  });

  test('is not what another failure is', async () => {
    const { run, performed } = script([[new UserError('node-2: no space')]]);
    await expect(run).rejects.toThrow('node-2: no space');
    expect(performed).toHaveLength(1);
  });

  test('during clone fails beside a step that failed', async () => {
    const { result } = lose('node-2', 'clone');
    const failed = {
      node: 'node-3',
      ...{ step: 'clone', task: 'Copy', time: 0, message: 'no space', log: '' },
    };
    const both = report({ ...result, failures: [...result.failures, failed] });
    const { run, performed } = script([[new PlaybookError(both, { cause: null })]]);
    await expect(run).rejects.toThrow('node-3: Copy: no space');
    expect(performed).toHaveLength(1);
  });
});
