import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Stand, startStand } from '../../playbooks/stand.ts';
import { LANE } from '../lane.ts';

// A role that may CREATE in database postgres, and everything that can be set for the database and the superuser:
// the action's own sessions are neither taken over nor stopped by it.

let stand: Stand;
beforeAll(async () => {
  stand = await startStand({ ...LANE, count: 2, tags: ['17'], image: 'postgres:17' });
  await stand.prove('node-1');
  await stand.query(
    'node-1',
    'CREATE ROLE mallory LOGIN; GRANT CREATE ON DATABASE postgres TO mallory; GRANT CREATE ON SCHEMA public TO mallory',
  );
});
afterAll(async () => {
  await stand?.close();
});

/** What a test asks for itself, where nothing that was set counts. */
const ask = async (sql: string) => {
  const options = [
    'search_path=pg_catalog',
    'role=none',
    'session_preload_libraries=',
    'default_transaction_read_only=off',
    'default_transaction_isolation=read\\ committed',
    'statement_timeout=0',
    'transaction_timeout=0',
  ].map((option) => `-c ${option}`);
  return stand.hosts.run(
    'node-1',
    `docker exec -i -e 'PGOPTIONS=${options.join(' ')}' postgres-orders psql -XAtq -v ON_ERROR_STOP=1 -U postgres <<'SQL'\n${sql}\nSQL`,
  );
};
const isTakenOver = async () =>
  (await ask(`SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'`)) !== 'f';
/** The body of a function that makes mallory a superuser, if a superuser calls it. */
const GRAB = 'BEGIN ALTER ROLE mallory SUPERUSER;';

/** Looks at the nodes, reloads both, and proves that one follows the other. */
async function work() {
  for (const { name, postgres } of await stand.observe()) {
    expect(postgres, name).toMatchObject({ version: expect.any(Number) });
  }
  const common = stand.configure('node-1');
  await stand.change([
    { kind: 'admit', nodes: ['node-1'], slots: ['node_2'], retiredSlots: [], ...common },
    { kind: 'reload', nodes: ['node-1', 'node-2'], ...common },
  ]);
  await stand.prove('node-1');
  expect(await isTakenOver()).toBe(false);
}

test('functions that go before those of PostgreSQL are not called', async () => {
  await ask(`
SET ROLE mallory;
CREATE FUNCTION public.to_json(boolean) RETURNS json LANGUAGE plpgsql AS $$ ${GRAB} RETURN 'true'; END $$;
CREATE FUNCTION public.lower(name) RETURNS text LANGUAGE plpgsql AS $$ ${GRAB} RETURN 'x'; END $$;
RESET ROLE;
ALTER DATABASE postgres SET search_path = public, pg_catalog`);
  await work();
});

test('nor do settings of the database or the superuser reach a session', async () => {
  await ask(`
ALTER DATABASE postgres SET default_transaction_read_only = on;
ALTER DATABASE postgres SET client_encoding = latin1;
ALTER ROLE postgres SET client_min_messages = debug5;
ALTER ROLE postgres SET default_transaction_isolation = serializable;
ALTER ROLE postgres SET lock_timeout = 1;
ALTER ROLE postgres SET role = mallory;
ALTER ROLE postgres SET session_preload_libraries = nobody;
ALTER ROLE postgres SET transaction_timeout = 1;
ALTER ROLE postgres SET statement_timeout = 1`);
  await work();
  await ask('ALTER ROLE postgres RESET ALL; ALTER DATABASE postgres RESET ALL');
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
])('%s in the place of the proof is neither read nor written', async (_, planted) => {
  await ask(`
DROP SCHEMA postgres_cluster CASCADE;
SET ROLE mallory;
CREATE OR REPLACE FUNCTION public.grab() RETURNS text LANGUAGE plpgsql AS $$ ${GRAB} RETURN 'x'; END $$;
CREATE OR REPLACE FUNCTION public.grab_row() RETURNS trigger LANGUAGE plpgsql AS $$ ${GRAB} RETURN NULL; END $$;
CREATE SCHEMA postgres_cluster;
${planted}`);
  await expect(stand.prove('node-1')).rejects.toThrow(
    /postgres_cluster\.proof in database postgres is not the table that this action makes/,
  );
  expect(await isTakenOver()).toBe(false);
  await ask('DROP SCHEMA postgres_cluster CASCADE');
  await stand.prove('node-1');
});
