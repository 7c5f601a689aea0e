import { afterEach, expect, test } from 'vitest';
import { PAUSE_LIMIT_MS, startLoad } from '../../load.ts';
import { type Stand, startStand } from '../../playbooks/stand.ts';
import { LANE } from '../lane.ts';

// The oldest and the newest PostgreSQL: other control files, another libc family's image.

let stand: Stand | undefined;
afterEach(async () => {
  await stand?.close();
  stand = undefined;
});

test.each(['14-alpine', '18'] as const)(
  'PostgreSQL %s is tried, switched over there and back',
  async (tag) => {
    const cluster = await startStand({
      ...LANE,
      count: 2,
      tags: [tag],
      image: `postgres:${tag}`,
    });
    stand = cluster;
    const { settings } = cluster.configure('node-1');
    const wrong = { ...settings, shared_preload_libraries: 'nobody' };
    const check = { kind: 'check', nodes: ['node-2'], primary: 'node-1', settings } as const;
    expect(await cluster.change([check])).toEqual([]);
    const refused = await cluster.run([{ ...check, settings: wrong }]);
    expect(refused.failures[0]?.message).toMatch(/"nobody".*nothing was changed/);

    const load = await startLoad({ hosts: cluster.addresses, password: 'postgres' });
    try {
      for (const [from, to] of [
        ['node-1', 'node-2'],
        ['node-2', 'node-1'],
      ] as const) {
        const step = cluster.switchOver(from, to);
        await load.awaitCommits(20);
        await cluster.change([step]);
        const stopped = (await cluster.observe()).find(({ name }) => name === from);
        expect(stopped).toMatchObject({ control: { state: 'shut down' }, standby: true });
        expect(await cluster.change([step])).toEqual([]);
        await cluster.change([{ kind: 'start', nodes: [from], ...cluster.configure(to) }]);
        await cluster.prove(to);
      }
      await load.awaitCommits(20);
      const { longestGapMs, splitBrains } = await load.stop();
      console.log(`PostgreSQL ${tag}: writes paused for ${longestGapMs} ms at most`);
      expect(longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
      expect(splitBrains).toEqual([]);
      for (const host of cluster.addresses) {
        expect(await load.findMissing({ host, password: 'postgres' })).toEqual([]);
      }
    } finally {
      await load.stop();
    }
  },
);
