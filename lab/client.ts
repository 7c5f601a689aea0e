import { execFile } from 'node:child_process';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { tagImage } from './images/recipe.ts';

const run = promisify(execFile);

/** A node as a client connects to it: over TCP with a password. */
export interface Server {
  readonly host: string;
  readonly password: string;
}

/** How to connect; by default as the superuser. */
export interface Login {
  readonly user?: string;
  /** Asks for a physical replication connection, whose commands are not SQL. */
  readonly replication?: boolean;
}

/** Runs SQL and returns psql's unaligned output. Throws psql's message. */
export async function query(server: Server, sql: string, login: Login = {}): Promise<string> {
  const { stdout } = await run('psql', listArguments(server, sql, login), {
    env: { ...process.env, ...buildEnvironment(server) },
  });
  return stdout.trim();
}

/**
 * Runs SQL as the superuser like `query`, from another computer: a container with `address` in a world's internet,
 * whose first 256 addresses no instance gets.
 */
export async function queryFrom(
  address: string,
  { server, network }: { readonly server: Server; readonly network: string },
  sql: string,
): Promise<string> {
  const environment = Object.entries(buildEnvironment(server));
  const { stdout } = await run('docker', [
    ...['run', '--rm', '--network', network, '--ip', address, '--entrypoint', 'psql'],
    ...environment.flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    tagImage('postgres-17'),
    ...listArguments(server, sql),
  ]);
  return stdout.trim();
}

function listArguments(
  { host }: Server,
  sql: string,
  { user = 'postgres', replication = false }: Login = {},
): string[] {
  const target = `dbname=postgres${replication ? ' replication=true' : ''}`;
  return ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', host, '-U', user, '-c', sql, target];
}

const buildEnvironment = ({ password }: Server) => ({
  PGPASSWORD: password,
  PGCONNECT_TIMEOUT: '5',
});

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
