import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredCluster } from '../cluster/desired.ts';
import type { Node } from '../cluster/node.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import { explainLostNodes } from '../cluster/unreachable.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { type PublicKeys, splitKeys } from '../inputs/ssh-key.ts';
import { chooseEnvironment } from '../process/child-environment.ts';
import { Slots } from '../process/slots.ts';
import { writeSecretFile } from '../runner/workspace.ts';
import { Ansible } from './cli.ts';
import { renderInventory } from './inventory.ts';
import { KnownHosts } from './known-hosts.ts';
import { listFailures, PlaybookError } from './playbook-error.ts';
import { type ProgressAnswer, readProgress } from './progress.ts';
import type { AnsibleResult } from './result.ts';
import { limitConnections, type Route, renderConnections, type Tunnels } from './route.ts';
import { renderSshConfig } from './ssh-config.ts';
import { renderVariables } from './variables.ts';

/** Everything needed to reach the nodes. */
export interface NodeAccess {
  readonly inputs: Inputs;
  readonly keys: PublicKeys;
  /** Folder of the result file. */
  readonly directory: string;
  /** The job's private folder, at a safe path: keys, inventory and all other files that Ansible and ssh read. */
  readonly temporary: string;
  /** Folder kept between runs, with the known hosts. */
  readonly lasting: string;
  /** The action's `playbooks/` folder. */
  readonly playbooks: string;
  readonly route: Route;
  readonly log: (line: string) => void;
}

/** The observation of all nodes of a cluster. */
export interface ClusterObservation {
  readonly observed: readonly NodeObservation[];
  /** Names of the nodes that could not be observed. */
  readonly unreachable: readonly string[];
  /** Those of them that SSH reaches: the observation itself failed, and PostgreSQL may be running. */
  readonly broken: readonly string[];
  /** Those of them whose SSH server answers but refuses the login: PostgreSQL may be running. */
  readonly locked: readonly string[];
  /** One message per failure. */
  readonly failures: readonly string[];
}

/** Messages of ssh if a server answers but the login fails; STARTING: because it boots or shuts down. */
const LOCKED =
  /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|Permission denied|Too many authentication failures|Unable to negotiate/i;
const STARTING =
  /System is (?:booting up|going down)|Unprivileged users are not permitted|pam_nologin/i;

/** How long before a failure a tunnel may have ended that explains it, in ms. */
const CLOSURE_MS = 60_000;

const isLockedOut = (message: string): boolean => LOCKED.test(message) && !STARTING.test(message);

/** The cluster's nodes, observed and changed by Ansible over SSH. `close` ends the connections. */
export class Nodes {
  readonly #access: NodeAccess;
  readonly #ansible: Ansible;
  readonly #knownHosts: KnownHosts;
  readonly #knownHostsFile: string;
  #isReady = false;
  /** Open as long as the connections; null for direct ones. */
  #tunnels: Tunnels | null = null;
  /** The nodes in the inventory. */
  #reachable: readonly Node[] = [];
  /** The most nodes that were in it. */
  #most = 0;
  readonly inventory: string;

  constructor(access: NodeAccess) {
    this.#access = access;
    const { playbooks, temporary, lasting, log } = access;
    this.inventory = join(temporary, 'inventory.ini');
    this.#knownHostsFile = join(temporary, 'known_hosts');
    this.#knownHosts = new KnownHosts({
      lasting: join(lasting, 'known_hosts'),
      copy: this.#knownHostsFile,
    });
    this.#ansible = new Ansible({ playbooks, inventory: this.inventory, temporary, log });
  }

  /**
   * Observes `existing`. `waitSeconds`: how long to wait for a node that is starting; a node that refuses for another
   * reason is not waited for. `lookSeconds`: limit of one observation, because a host may accept the login and then hang;
   * without it there is no limit. `fresh`: nodes whose instance this run has created, which may refuse the key at first.
   *
   * @throws UserError if there is no way to the nodes, or if Ansible ended without a report on any
   */
  async observe(
    existing: readonly Node[],
    options: {
      desired: DesiredCluster;
      waitSeconds: number;
      lookSeconds?: number;
      fresh?: readonly string[];
    },
  ): Promise<ClusterObservation> {
    const { desired, waitSeconds, lookSeconds = 0, fresh: freshNodes = [] } = options;
    await this.#writeInventory(existing, waitSeconds);
    const report = await this.#ansible.run(
      'observe.yml',
      this.#render(desired, { waitSeconds, lookSeconds, freshNodes }),
      {
        nodes: existing.map(({ name }) => name),
        tolerant: true,
        connections: renderConnections(this.#access.route, this.#limits),
      },
    );
    const seen = report.observations.map(({ name }) => name);
    const unreachable = existing.map(({ name }) => name).filter((name) => !seen.includes(name));
    const failures = listFailures(report.failures.map((one) => this.#addCause(one)));
    if (unreachable.length > 0) {
      await this.#writeInventory(existing.filter(({ name }) => seen.includes(name)));
    }
    const isBroken = (name: string) => report.stats[name]?.unreachable === 0;
    const broken = unreachable.filter(isBroken);
    const locked = unreachable.filter(
      (name) =>
        !broken.includes(name) &&
        report.failures.some(({ node, message }) => node === name && isLockedOut(message)),
    );
    return { observed: report.observations, unreachable, broken, locked, failures };
  }

  /** Makes `existing` the nodes of the next steps, without a look at them. */
  async reach(existing: readonly Node[]): Promise<void> {
    await this.#writeInventory(existing);
  }

  /**
   * Runs `steps` in order and, with a `proofToken`, proves that `primary` replicates it to all other nodes. `image` pins
   * the image of new containers. `onNotes` is called with what a reader should know, even if a step failed.
   *
   * @throws PlaybookError that names what failed on which node, and why nodes do not answer any more
   * @throws UserError if Ansible ended without a report
   */
  async perform(
    work: NonNullable<Parameters<typeof renderVariables>[0]['rollout']>,
    desired: DesiredCluster,
    onNotes?: (notes: AnsibleResult['notes']) => void,
  ): Promise<AnsibleResult> {
    const { unreachable: away = [] } = desired;
    const nodes = [...desired.nodes, ...desired.leaving].filter(({ name }) => !away.includes(name));
    const since = Date.now();
    try {
      return await this.#ansible.run('site.yml', this.#render(desired, { rollout: work }), {
        nodes: nodes.map(({ name }) => name),
        connections: renderConnections(this.#access.route, this.#limits),
        ...(onNotes && { onNotes }),
      });
    } catch (error) {
      if (!(error instanceof PlaybookError) || error.lost.length === 0) throw error;
      const lost = error.lost.map((one) => this.#addCause(one, since));
      const failed = error.result.failures.filter((one) => !error.lost.includes(one));
      const explanation = explainLostNodes(
        lost.map((one) => ({ ...one, name: one.node, isLocked: isLockedOut(one.message) })),
        nodes,
      );
      const result = { ...error.result, failures: [...failed, ...lost] };
      throw new PlaybookError(result, { explanation, cause: error });
    }
  }

  /** Asks all nodes for the progress of their work at the same time. `signal` ends the wait for answers. */
  async readProgress(signal: AbortSignal): Promise<ReadonlyMap<string, ProgressAnswer>> {
    const { inputs, route } = this.#access;
    const { keep, progress } = this.#limits;
    const { sockets } = this.#ansible;
    const slots = new Slots(progress);
    const environment = chooseEnvironment(process.env, { program: 'ssh' });
    const answers = this.#reachable.map(async (node) => {
      if (sockets === null) return [node.name, { kind: 'silent' }] as const;
      const { sshUser } = inputs;
      const shared = keep ? sockets : null;
      const sshConfigFile = this.#sshConfigFile;
      const access = { sshUser, sshConfigFile, sockets: shared, route, environment };
      const release = await slots.take(signal);
      if (release === null) return [node.name, { kind: 'silent' }] as const;
      return [node.name, await readProgress(node, access, signal).finally(release)] as const;
    });
    return new Map(await Promise.all(answers));
  }

  /** Ends the connections and saves the host keys of new nodes. */
  async close(): Promise<void> {
    try {
      await this.#ansible.close();
    } finally {
      await this.#tunnels?.close();
      this.#tunnels = null;
      if (this.#isReady) await this.#knownHosts.save();
    }
  }

  #render(
    desired: DesiredCluster,
    options: Omit<
      Parameters<typeof renderVariables>[0],
      'desired' | 'secrets' | 'keys' | 'hasInstanceProfile'
    >,
  ): string {
    const { keys, inputs } = this.#access;
    const { secrets, spec } = inputs;
    const hasInstanceProfile = spec.instanceProfile !== null;
    return renderVariables({ desired, secrets, keys, hasInstanceProfile, ...options });
  }

  get #sshConfigFile(): string {
    return join(this.#access.temporary, 'ssh_config');
  }

  /**
   * Adds why a tunnel failed: ssh hides what the program behind it prints (`explainUnreachable` looks for the line). Tunnels
   * that ended before `since` are no reason: a look at a node is repeated over another one. Nor are those that ended long
   * before the failure: ssh has opened another one since.
   */
  #addCause(
    failure: AnsibleResult['failures'][number],
    since = Number.POSITIVE_INFINITY,
  ): AnsibleResult['failures'][number] {
    const address = this.#reachable.find(({ name }) => name === failure.node)?.privateAddress ?? '';
    const recent = Math.max(since, failure.time * 1_000 - CLOSURE_MS);
    const cause =
      this.#tunnels?.findCause(address) ?? this.#tunnels?.findClosure(address, recent) ?? null;
    if (cause === null) return failure;
    return { ...failure, message: `tunnel: ${cause}\n${failure.message}` };
  }

  get #limits() {
    return limitConnections(this.#access.route, this.#most);
  }

  /** Writes what Ansible and ssh read, and opens the way to the nodes. */
  async #writeInventory(existing: readonly Node[], waitSeconds = 0): Promise<void> {
    const { inputs, route } = this.#access;
    if (route.kind === 'endpoint') this.#tunnels ??= await route.open({ waitSeconds });
    const sshConfigFile = this.#sshConfigFile;
    if (!this.#isReady) await this.#writeSshConfig(sshConfigFile);
    this.#isReady = true;
    this.#reachable = existing;
    this.#most = Math.max(this.#most, existing.length);
    this.#tunnels?.admit(existing.map(({ privateAddress }) => privateAddress));
    await writeFile(
      this.inventory,
      renderInventory(existing, { sshUser: inputs.sshUser, sshConfigFile, route }),
    );
  }

  async #writeSshConfig(path: string): Promise<void> {
    const { inputs, temporary } = this.#access;
    const privateKeyFiles = await Promise.all(
      splitKeys(inputs.secrets.sshPrivateKey).map(async (key, index) => {
        const file = join(temporary, `ssh-key-${index + 1}`);
        await writeSecretFile(file, key);
        return file;
      }),
    );
    await this.#knownHosts.load();
    const knownHostsFile = this.#knownHostsFile;
    const proxyCommand = this.#tunnels?.proxyCommand ?? null;
    await writeFile(path, renderSshConfig({ privateKeyFiles, knownHostsFile, proxyCommand }));
  }
}
