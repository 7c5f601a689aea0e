// node bench/switchover.ts measures how long a switchover pauses writes: on three hosts of the lab, under its load,
// from node to node and round again.
import { startLoad } from '../lab/load.ts';
import { startTestbed } from '../lab/playbooks/testbed.ts';
import { destroyWorld } from '../lab/world.ts';

const RUNS = 9;
/** The maximum pause of writes, in ms. */
const MAX_PAUSE_MS = 1_000;
/** The load is established after this many commits. */
const COMMITS = 50;

const tell = (line: string) => process.stderr.write(`${line}\n`);

const WORLD = 'bench';
const testbed = await startTestbed({
  world: WORLD,
  prefix: '10.97',
  count: 3,
  tags: ['17'],
  image: 'postgres:17',
});
const pauses: number[] = [];
try {
  for (let run = 0; run < RUNS; run += 1) {
    const [from, to, other] = [0, 1, 2].map(
      (offset) => testbed.names[(run + offset) % testbed.names.length] as string,
    ) as [string, string, string];
    const common = testbed.configure(to);
    const load = await startLoad({ hosts: testbed.addresses, password: 'postgres' });
    try {
      await load.awaitCommits(COMMITS);
      await testbed.change([
        testbed.switchOver(from, to),
        { kind: 'reload', nodes: [other], ...common },
        { kind: 'start', nodes: [from], ...common },
        { kind: 'reload', nodes: testbed.names, ...common },
      ]);
      await load.awaitCommits(COMMITS);
    } finally {
      await load.stop();
    }
    const { longestGapMs, stallMs } = await load.stop();
    pauses.push(longestGapMs);
    tell(
      `${from} to ${to}: ${longestGapMs} ms (this program itself was held up for ${stallMs} ms at most)`,
    );
  }
} finally {
  await testbed.close();
  await destroyWorld(WORLD);
}

const sorted = pauses.sort((a, b) => a - b);
const [median, most] = [sorted[sorted.length >> 1] ?? 0, sorted.at(-1) ?? 0];
process.stdout.write(
  `${RUNS} switchovers: writes pause for ${median} ms (median), ${most} ms at most\n`,
);
if (most > MAX_PAUSE_MS) {
  process.stderr.write(`A pause is above ${MAX_PAUSE_MS} ms.\n`);
  process.exitCode = 1;
}
