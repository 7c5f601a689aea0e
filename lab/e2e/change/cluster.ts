import { expect } from 'vitest';
import { query, type Server } from '../../client.ts';
import { runDocker } from '../../images/docker.ts';
import { isLostConnection } from '../../load/connection.ts';
import { TABLE } from '../../load/row.ts';
import { type Load, type LoadReport, startLoad } from '../../load.ts';
import type { JobOptions, JobResult } from '../../runner/job.ts';
import type { World, WorldOptions } from '../../world.ts';
import {
  closeStage,
  deploy,
  openPullRequest,
  openStage,
  readChanges,
  readProof,
  requireSuccess,
} from '../stage.ts';

/** The workflow's inputs. */
export type Inputs = Readonly<Record<string, string>>;

/** The container of PostgreSQL on a node. */
export const CONTAINER = 'postgres-postgres';
/** The mount point of the data volume on a node. */
export const ROOT = '/var/lib/postgresql-cluster';

/** The result of a change. */
export interface Change {
  readonly result: JobResult;
  readonly report: LoadReport;
  /** The node that was primary before and after. */
  readonly primary: { readonly before: string; readonly after: string };
  /** Nodes whose server process has been replaced. */
  readonly restarted: readonly string[];
}

/** Options of a change. */
export interface ChangeOptions {
  /** Runs before the deploy, with the load already running. */
  readonly before?: (load: Load) => Promise<void>;
  /** Whether to deploy the same inputs once more, which must change nothing: a whole deploy, so not by default. */
  readonly again?: boolean;
  readonly job?: Partial<JobOptions>;
}

/** A cluster in the lab for a series of changes, each under load. */
export class LiveCluster {
  readonly world: World;
  #changes = 0;

  private constructor(world: World) {
    this.world = world;
  }

  /** Creates an empty world and makes the first deploy. */
  static async create(
    inputs: Inputs,
    options: Pick<WorldOptions, 'backups' | 'sshVia'> = {},
  ): Promise<LiveCluster> {
    const world = await openStage({ ownAnsible: true, ...options });
    try {
      const cluster = new LiveCluster(world);
      requireSuccess((await deploy(world, 'create', inputs)).result);
      return cluster;
    } catch (error) {
      await closeStage(world);
      throw error;
    }
  }

  async close(): Promise<void> {
    await closeStage(this.world);
  }

  /** The nodes' servers by name, e.g. `node-1`; a stopped instance has none. */
  listServers(): Record<string, Server> {
    const password = this.world.secrets['postgres-password'];
    const servers = this.world.aws.listInstances().flatMap(({ name, state, publicIp }) => {
      const node = /^postgres-(node-\d+)$/.exec(name)?.[1];
      return node === undefined || publicIp === null || state !== 'running'
        ? []
        : [[node, { host: publicIp, password }] as const];
    });
    return Object.fromEntries(servers.sort(([a], [b]) => a.localeCompare(b)));
  }

  server(node: string): Server {
    const server = this.listServers()[node];
    if (!server) throw new Error(`${node} has no running instance.`);
    return server;
  }

  /** Queries one node. */
  ask(node: string, sql: string): Promise<string> {
    return query(this.server(node), sql);
  }

  /** Queries every node. */
  async askAll(sql: string): Promise<Record<string, string>> {
    const answers = Object.keys(this.listServers()).map(
      async (node) => [node, await this.ask(node, sql)] as const,
    );
    return Object.fromEntries(await Promise.all(answers));
  }

  /** Returns the node that is not in recovery; throws unless there is exactly one. Ignores nodes that do not answer. */
  async findPrimary(): Promise<string> {
    const asked = Object.keys(this.listServers()).map(async (node) => {
      const answer = await this.ask(node, 'SELECT pg_is_in_recovery()').catch(() => null);
      return answer === 'f' ? [node] : [];
    });
    const primaries = (await Promise.all(asked)).flat();
    if (primaries.length !== 1) throw new Error(`Primaries: ${primaries.join(', ') || 'none'}.`);
    return primaries[0] as string;
  }

  async listReplicas(): Promise<string[]> {
    const primary = await this.findPrimary();
    return Object.keys(this.listServers()).filter((node) => node !== primary);
  }

  /** When each node's server was started, without nodes that do not answer. */
  async readStarts(): Promise<Record<string, string>> {
    const asked = Object.keys(this.listServers()).map(async (node) => {
      const start = await this.ask(node, 'SELECT pg_postmaster_start_time()').catch(() => null);
      return start === null ? [] : [[node, start] as const];
    });
    return Object.fromEntries((await Promise.all(asked)).flat());
  }

  instance(node: string) {
    const instance = this.world.aws.listInstances().find(({ name }) => name === `postgres-${node}`);
    if (!instance) throw new Error(`There is no instance of ${node}.`);
    return instance;
  }

  /** Runs a command on a node as root, bypassing ssh. */
  run(node: string, ...command: string[]): Promise<string> {
    return runDocker(['exec', this.instance(node).container, ...command]);
  }

  /**
   * Makes a host hang: neither SSH nor PostgreSQL answers. Docker pauses only the machine, and its containers
   * would continue; they are stopped by signal, because processes frozen by Docker in a machine survive its end.
   */
  async freeze(node: string): Promise<void> {
    // Stops the postmaster first, so that the list of its children is final.
    for (const _ of ['postmaster', 'its children']) await this.#signal(node, 'STOP');
    await runDocker(['pause', this.instance(node).container]);
  }

  /** Undoes `freeze`. */
  async thaw(node: string): Promise<void> {
    await runDocker(['unpause', this.instance(node).container]);
    await this.#signal(node, 'CONT');
  }

  /** Gives the node's instance broken hardware: an orderly stop never ends. */
  async breakHardware(node: string): Promise<void> {
    const { id } = this.instance(node);
    await this.world.aws.edit(({ instances }) => {
      const sick = instances[id];
      if (sick) sick.stopHangs = true;
    });
  }

  /** Sends a signal to all of PostgreSQL's processes on a node, if there are any; some may end meanwhile. */
  async #signal(node: string, signal: 'STOP' | 'CONT'): Promise<void> {
    const list = `docker top ${CONTAINER} -eo pid 2>/dev/null | tail -n +2`;
    const script = `for pid in $(${list}); do kill -${signal} $pid || true; done`;
    await this.run(node, 'sh', '-c', script);
  }

  /** Runs the failover as requested through the API or by a person. */
  async failOver(
    inputs: Inputs,
    payload: Readonly<Record<string, string>> = {},
  ): Promise<JobResult> {
    return this.world.run(this.world.github.dispatch('failover', payload), inputs);
  }

  /** The latest row of the load on a node. */
  async readLatest(node: string): Promise<number> {
    return Number(await this.ask(node, `SELECT coalesce(max(counter), 0) FROM ${TABLE}`));
  }

  /** Runs `work` with a load on all nodes, including nodes added meanwhile. */
  async underLoad<Result>(
    work: (load: Load) => Promise<Result>,
  ): Promise<{ value: Result; load: Load; report: LoadReport }> {
    const listHosts = () => Object.values(this.listServers()).map(({ host }) => host);
    const password = this.world.secrets['postgres-password'];
    const load = await startLoad({ hosts: listHosts(), password });
    const timer = setInterval(() => load.setHosts(listHosts()), 200);
    try {
      await load.awaitCommits(20);
      const value = await work(load);
      await load.awaitCommits(20);
      return { value, load, report: await load.stop() };
    } finally {
      clearInterval(timer);
      await load.stop();
    }
  }

  /**
   * Deploys new inputs under load. Then checks: no acknowledged row is missing on any node, no read was
   * wrong, no replay was paused, and there was never more than one primary.
   */
  async change(name: string, inputs: Inputs, options: ChangeOptions = {}): Promise<Change> {
    const before = await this.findPrimary();
    const starts = await this.readStarts();
    const { value, load, report } = await this.underLoad(async (running) => {
      await options.before?.(running);
      const { result } = await deploy(this.world, this.#nameBranch(), inputs, options.job);
      requireSuccess(result);
      if (options.again) await this.requireNoChange(inputs);
      return result;
    });
    this.tell(name, report);
    this.requireNoProblems(report);
    await this.requireRows(load);
    const after = await this.readStarts();
    const restarted = Object.keys(after).filter((node) => after[node] !== starts[node]);
    return {
      result: value,
      report,
      primary: { before, after: await this.findPrimary() },
      restarted,
    };
  }

  /** Deploys inputs that are refused with `reason`, under load; `review`: also on the pull request. */
  async refuse(
    name: string,
    inputs: Inputs,
    options: { reason: RegExp | readonly RegExp[]; review?: boolean },
  ): Promise<LoadReport> {
    const { load, report } = await this.underLoad(() => this.requireRefusal(inputs, options));
    this.tell(name, report);
    this.requireNoProblems(report);
    await this.requireRows(load);
    expect(Object.values(report.lives).every((count) => count === 1)).toBe(true);
    return report;
  }

  /** Deploys inputs that are refused: checks the reason in the log and in the comment, and that nothing changed. */
  async requireRefusal(
    inputs: Inputs,
    { reason, review = false }: { reason: RegExp | readonly RegExp[]; review?: boolean },
  ): Promise<void> {
    const starts = await this.readStarts();
    const cloud = JSON.stringify(this.world.aws.tables);
    const reasons = [reason].flat();
    const judge = (result: JobResult, number: number) => {
      expect(result.conclusion, result.log).toBe('failure');
      const messages = result.annotations.map(({ message }) => message).join('\n');
      const comment = this.world.github.listComments(number)[0]?.body ?? '';
      for (const one of reasons) {
        expect(messages).toMatch(one);
        // The comment escapes Markdown.
        expect(comment.replaceAll('\\', '')).toMatch(one);
      }
    };
    if (review) {
      const { event, number } = openPullRequest(this.world, this.#nameBranch());
      judge(await this.world.run(event, inputs), number);
    }
    const { result, number } = await deploy(this.world, this.#nameBranch(), inputs);
    judge(result, number);
    expect(JSON.stringify(this.world.aws.tables)).toBe(cloud);
    expect(await this.readStarts()).toEqual(starts);
  }

  /** Deploys the current inputs: nothing changes and nothing is restarted. */
  async requireNoChange(inputs: Inputs): Promise<void> {
    const starts = await this.readStarts();
    const { result } = await deploy(this.world, this.#nameBranch(), inputs);
    requireSuccess(result);
    expect(result.outputs['has-changes'], result.log).toBe('false');
    expect(readChanges(result), result.log).toBe(0);
    expect(await this.readStarts()).toEqual(starts);
  }

  /** The problems of a load, which must be empty after every change. */
  requireNoProblems(report: LoadReport): void {
    const { writerProblems, readerProblems, pausedReplays, splitBrains } = report;
    expect({ writerProblems, readerProblems, pausedReplays, splitBrains }).toEqual({
      writerProblems: [],
      readerProblems: [],
      pausedReplays: [],
      splitBrains: [],
    });
  }

  /** Asserts that no acknowledged row is missing on any node that answers. */
  async requireRows(load: Load): Promise<void> {
    expect(await this.findMissing(load)).toEqual({});
  }

  /** The acknowledged rows that nodes lack, by node; without nodes that lack nothing. */
  async findMissing(load: Load): Promise<Record<string, number[]>> {
    const looked = Object.entries(this.listServers()).map(async ([node, server]) => {
      const missing = await load.findMissing(server).catch((error) => {
        if (isLostConnection(error)) return [];
        throw error;
      });
      return [node, missing] as const;
    });
    return Object.fromEntries((await Promise.all(looked)).filter(([, rows]) => rows.length > 0));
  }

  /** Role and state of every node, as in the job's proof. */
  readRoles(result: JobResult): Record<string, string> {
    return Object.fromEntries(
      readProof(result).map(({ name, role, state }) => [
        name,
        role === 'primary' ? role : `${role} ${state}`,
      ]),
    );
  }

  /** Prints the longest pause of writes. */
  tell(name: string, report: LoadReport): void {
    const { longestGapMs, gaps, acknowledged, unknown, reads, stallMs } = report;
    const others = gaps.map(({ ms }) => ms).sort((a, b) => b - a);
    console.log(
      `${name}: longest write gap ${longestGapMs} ms (above 200 ms: ${others.join(', ') || 'none'}); ${acknowledged} commits, ${unknown.length} unanswered, ${reads} reads; the test itself stalled for up to ${stallMs} ms`,
    );
  }

  #nameBranch(): string {
    this.#changes += 1;
    return `change-${this.#changes}`;
  }
}
