import { execFile } from 'node:child_process';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';

const run = promisify(execFile);

/** A node as a client connects to it: over TCP with a password. */
export interface Server {
  readonly host: string;
  readonly password: string;
}

/** Runs SQL as the superuser and returns psql's unaligned output. Throws psql's message. */
export async function query({ host, password }: Server, sql: string): Promise<string> {
  const args = [
    '-XAtq',
    '-v',
    'ON_ERROR_STOP=1',
    '-h',
    host,
    '-U',
    'postgres',
    '-c',
    sql,
    'postgres',
  ];
  const { stdout } = await run('psql', args, {
    env: { ...process.env, PGPASSWORD: password, PGCONNECT_TIMEOUT: '5' },
  });
  return stdout.trim();
}

/** A connection that stays open, for repeated queries. */
export interface Session {
  /** Returns the rows; throws PostgreSQL's error (with its SQLSTATE in `code`), or the connection's. */
  query<Row extends object>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Ends the connection immediately, whatever the server is doing. */
  close(): void;
}

/**
 * Connects as the superuser. Neither connecting nor a query takes longer than `timeoutMs`, so that a silent
 * host is detected. After an error the session is unusable.
 */
export async function openSession(
  { host, password }: Server,
  { timeoutMs }: { timeoutMs: number },
): Promise<Session> {
  // Our own socket can be destroyed; `client.end()` waits for an answer that may never come.
  const socket = new Socket();
  const client = new Client({
    host,
    password,
    user: 'postgres',
    database: 'postgres',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    stream: () => socket,
  });
  // The next query reports it.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return {
    query: async <Row extends object>(sql: string, values: readonly unknown[] = []) => {
      const { rows } = await client.query<Row>(sql, [...values]);
      return rows;
    },
    close: () => socket.destroy(),
  };
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Writes a row into table `orders` and returns the WAL position after its commit. */
export async function writeRow(server: Server, text: string): Promise<string> {
  await query(
    server,
    'CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY, text text NOT NULL)',
  );
  await query(server, `INSERT INTO orders (text) VALUES (${literal(text)})`);
  return query(server, 'SELECT pg_current_wal_lsn()');
}

/** Waits until the row is readable and returns the elapsed milliseconds; throws after 30 s. */
export async function readRow(server: Server, text: string): Promise<number> {
  const start = Date.now();
  while (Date.now() - start < 30_000) {
    const found = await query(
      server,
      `SELECT count(*) FROM orders WHERE text = ${literal(text)}`,
    ).catch((error: Error) => error.message);
    if (found === '1') return Date.now() - start;
    await sleep(50);
  }
  throw new Error(`${server.host} does not show the row ${JSON.stringify(text)} within 30 s.`);
}
