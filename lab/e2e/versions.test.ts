import { afterEach, beforeEach, expect } from 'vitest';
import { query } from '../client.ts';
import { nightlyTest } from '../nightly.ts';
import type { World } from '../world.ts';
import {
  closeStage,
  deploy,
  openStage,
  readChanges,
  readProof,
  readServers,
  requireSuccess,
} from './stage.ts';

let world: World;
beforeEach(async () => {
  world = await openStage();
});
afterEach(() => closeStage(world));

nightlyTest('PostgreSQL 18 replicates, and a second run changes nothing', async () => {
  const inputs = { 'instance-type': 't2.small', 'replica-count': '1', 'image-tag': '18' };
  const { result } = await deploy(world, 'postgres-18', inputs);
  requireSuccess(result);
  expect(readProof(result).map(({ state }) => state)).toContain('streaming');
  const { primary, replicas } = readServers(world, result);
  for (const server of [primary, ...replicas]) {
    expect(await query(server, 'SHOW server_version')).toMatch(/^18/);
  }
  const { result: again } = await deploy(world, 'postgres-18-again', inputs);
  expect(readChanges(requireSuccess(again))).toBe(0);
});

nightlyTest('a new major version with old data is refused before anything stops', async () => {
  const inputs = { 'instance-type': 't2.small', 'replica-count': '0' };
  const { result } = await deploy(world, 'on-15', { ...inputs, 'image-tag': '15' });
  const { primary } = readServers(world, requireSuccess(result));
  const { result: refused, number } = await deploy(world, 'to-17', {
    ...inputs,
    'image-tag': '17',
  });
  expect(refused.conclusion).toBe('failure');
  const reason = /image-tag asks for PostgreSQL 17, the data is PostgreSQL 15's/;
  expect(refused.annotations.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(reason),
  );
  expect(world.github.listComments(number)[0]?.body).toMatch(reason);
  expect(await query(primary, 'SHOW server_version')).toMatch(/^15/);
});
