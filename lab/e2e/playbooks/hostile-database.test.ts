import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Step } from '../../../src/cluster/rollout/step.ts';
import { nightlyTest } from '../../nightly.ts';
import { ROOT, startTestbed, type Testbed } from '../../playbooks/testbed.ts';
import { LANE } from '../lane.ts';

// An attacker with CREATE in database postgres, or its owner, and all settings of the databases and the superuser:
// they can neither take over nor stop the action's own sessions, which use their own database.

let testbed: Testbed;
beforeAll(async () => {
  testbed = await startTestbed({ ...LANE, count: 2, tags: ['17'], image: 'postgres:17' });
  await testbed.prove('node-1');
  await testbed.query(
    'node-1',
    'CREATE ROLE mallory LOGIN; GRANT CREATE ON DATABASE postgres TO mallory; GRANT CREATE ON SCHEMA public TO mallory',
  );
});
afterAll(async () => {
  await testbed?.close();
});

/** Settings of the test's own sessions, which override everything else. */
const ask = async (sql: string, database = 'postgres_cluster') => {
  const options = [
    'search_path=pg_catalog',
    'role=none',
    'session_preload_libraries=',
    'default_transaction_read_only=off',
    'default_transaction_isolation=read\\ committed',
    'statement_timeout=0',
    'transaction_timeout=0',
  ].map((option) => `-c ${option}`);
  return testbed.hosts.run(
    'node-1',
    `docker exec -i -e 'PGOPTIONS=${options.join(' ')}' postgres-orders psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d ${database} <<'SQL'\n${sql}\nSQL`,
  );
};
const isTakenOver = async () =>
  (await ask(`SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'`)) !== 'f';
/** The body of a function that makes mallory a superuser, if a superuser calls it. */
const GRAB = 'BEGIN ALTER ROLE mallory SUPERUSER;';

/** Observes the nodes, reloads both, and proves that one follows the other. */
async function work() {
  for (const { name, postgres } of await testbed.observe()) {
    expect(postgres, name).toMatchObject({ version: expect.any(Number) });
  }
  const common = testbed.configure('node-1');
  await testbed.change([
    { kind: 'admit', nodes: ['node-1'], slots: ['node_2'], retiredSlots: [], ...common },
    { kind: 'reload', nodes: ['node-1', 'node-2'], ...common },
  ]);
  await testbed.prove('node-1');
  expect(await isTakenOver()).toBe(false);
}

const GRABBERS = `
CREATE FUNCTION public.to_json(boolean) RETURNS json LANGUAGE plpgsql AS $$ ${GRAB} RETURN 'true'; END $$;
CREATE FUNCTION public.lower(name) RETURNS text LANGUAGE plpgsql AS $$ ${GRAB} RETURN 'x'; END $$;`;

test('functions that precede those of PostgreSQL are not called', async () => {
  // Only a superuser can let it into the action's own database.
  await ask('GRANT CREATE ON SCHEMA public TO mallory');
  for (const database of ['postgres', 'postgres_cluster']) {
    await ask(
      `SET ROLE mallory; ${GRABBERS} RESET ROLE; ALTER DATABASE ${database} SET search_path = public, pg_catalog`,
      database,
    );
  }
  await work();
});

test('settings of the database or the superuser do not reach a session', async () => {
  await ask(`
ALTER DATABASE postgres_cluster SET default_transaction_read_only = on;
ALTER DATABASE postgres_cluster SET client_encoding = latin1;
ALTER ROLE postgres SET client_min_messages = debug5;
ALTER ROLE postgres SET default_transaction_isolation = serializable;
ALTER ROLE postgres SET lock_timeout = 1;
ALTER ROLE postgres SET role = mallory;
ALTER ROLE postgres SET session_preload_libraries = nobody;
ALTER ROLE postgres SET transaction_timeout = 1;
ALTER ROLE postgres SET statement_timeout = 1`);
  await work();
  await ask('ALTER ROLE postgres RESET ALL; ALTER DATABASE postgres_cluster RESET ALL');
});

test.each([
  [
    'a view',
    `CREATE VIEW postgres_cluster.proof AS SELECT public.grab() AS token, now() AS written, true AS one`,
  ],
  [
    'a table with a trigger',
    `CREATE TABLE postgres_cluster.proof (one boolean PRIMARY KEY DEFAULT true, token text, written timestamptz);
CREATE TRIGGER grab BEFORE INSERT OR UPDATE ON postgres_cluster.proof EXECUTE FUNCTION public.grab_row()`,
  ],
])('%s in place of the proof is neither read nor written', async (_, planted) => {
  await ask(`
DROP SCHEMA postgres_cluster CASCADE;
GRANT CREATE ON DATABASE postgres_cluster TO mallory;
SET ROLE mallory;
CREATE OR REPLACE FUNCTION public.grab() RETURNS text LANGUAGE plpgsql AS $$ ${GRAB} RETURN 'x'; END $$;
CREATE OR REPLACE FUNCTION public.grab_row() RETURNS trigger LANGUAGE plpgsql AS $$ ${GRAB} RETURN NULL; END $$;
CREATE SCHEMA postgres_cluster;
${planted}`);
  await expect(testbed.prove('node-1')).rejects.toThrow(
    /postgres_cluster\.proof in database postgres_cluster is not the table that this action makes/,
  );
  expect(await isTakenOver()).toBe(false);
  await ask(
    'DROP SCHEMA postgres_cluster CASCADE; REVOKE CREATE ON DATABASE postgres_cluster FROM mallory',
  );
  await testbed.prove('node-1');
});

describe('the database of the action', () => {
  const common = () => testbed.configure('node-1');
  const admit = (): Step => ({
    kind: 'admit',
    nodes: ['node-1'],
    slots: ['node_2'],
    retiredSlots: [],
    ...common(),
  });

  test('cannot be entered by others', async () => {
    const enter = (role: string, where: string) =>
      testbed.hosts.run(
        'node-1',
        `docker exec -e PGPASSWORD=postgres postgres-orders psql -XAtq -h ${where} -U ${role} -d postgres_cluster -c 'SELECT 1'`,
      );
    await expect(enter('postgres', '127.0.0.1')).rejects.toThrow(
      /pg_hba\.conf rejects connection .*database "postgres_cluster"/,
    );
    await expect(enter('mallory', '/var/run/postgresql')).rejects.toThrow(/no pg_hba\.conf entry/);
    expect(
      await ask(`SELECT has_database_privilege('mallory', 'postgres_cluster', 'CONNECT')`),
    ).toBe('f');
  });

  test('is recreated if it is missing, without the contents of template1', async () => {
    await ask(
      `CREATE FUNCTION public.planted() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      'template1',
    );
    await ask('DROP DATABASE postgres_cluster WITH (FORCE)', 'postgres');
    // As in a cluster of an earlier version.
    for (const { name, postgres } of await testbed.observe()) {
      expect(postgres, name).not.toBeNull();
    }
    expect(await testbed.change([admit()])).toEqual(['node-1 admit']);
    expect(await testbed.change([admit()])).toEqual([]);
    await testbed.prove('node-1');
    expect(await ask(`SELECT to_regproc('public.planted') IS NULL`)).toBe('t');
    await ask('DROP DATABASE postgres_cluster WITH (FORCE)', 'postgres');
    await testbed.prove('node-1');
  });

  nightlyTest('is not used if someone else took its name', async () => {
    await ask(
      'DROP DATABASE postgres_cluster WITH (FORCE); CREATE DATABASE postgres_cluster OWNER mallory',
      'postgres',
    );
    const run = await testbed.run([admit()]);
    expect(run.failures[0]?.message).toMatch(
      /^database postgres_cluster belongs to role mallory, .*rename it/,
    );
    await ask('ALTER DATABASE postgres_cluster RENAME TO mine', 'postgres');
    await work();
  });

  test('keeps working if the owner of postgres locks everybody out, or renames it', async () => {
    await ask(`
ALTER DATABASE postgres OWNER TO mallory;
SET ROLE mallory;
ALTER DATABASE postgres WITH ALLOW_CONNECTIONS false CONNECTION LIMIT 0`);
    await work();
    await ask('ALTER DATABASE postgres RENAME TO locked');
    // A replica whose record is not written yet reads its identity.
    await testbed.hosts.run('node-2', `rm ${ROOT}/record.json`);
    await testbed.change([{ kind: 'clone', nodes: ['node-2'], ...common() }]);
    const [primary, replica] = await testbed.observe();
    expect(replica?.record).toEqual(primary?.record);
  });
});
