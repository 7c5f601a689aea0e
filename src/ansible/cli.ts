import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../messages/errors.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { chooseEnvironment } from '../process/child-environment.ts';
import { ProcessError, runProcess } from '../process/child-process.ts';
import { runShortCommand } from '../process/short-command.ts';
import { compareVersions } from '../process/version.ts';
import { childTemporary, copyAssets, writeSecretFile } from '../runner/workspace.ts';
import { PlaybookError } from './playbook-error.ts';
import { CONTROL_SOCKET } from './progress.ts';
import { type AnsibleResult, parseResult, RESULT_BYTES, refuseSize } from './result.ts';

const MINIMUM_VERSION = '2.14.0';
const INSTALL_HINT = 'Install it with: pipx install ansible-core';

/**
 * Runs the playbooks of one cluster. The ssh connections stay open between runs; `close` ends them.
 */
export class Ansible {
  /** Folders and environment of the runs; null before the first run. */
  #prepared: Prepared | null = null;
  readonly #playbooks: string;
  readonly #inventory: string;
  readonly #temporary: string;
  readonly #log: (line: string) => void;

  constructor(options: {
    /** The action's `playbooks/` folder. */
    playbooks: string;
    /** Path of `inventory.ini`. */
    inventory: string;
    /** The job's private folder, at a safe path. */
    temporary: string;
    log: (line: string) => void;
  }) {
    this.#playbooks = options.playbooks;
    this.#inventory = options.inventory;
    this.#temporary = options.temporary;
    this.#log = options.log;
  }

  /**
   * Runs one playbook with `variables` (JSON) on `nodes` (names) and returns its report. With `tolerant`, nodes may
   * fail: the failures are in the report.
   *
   * @throws PlaybookError that names what failed on which node, UserError if no step did
   */
  async run(
    playbook: 'observe.yml' | 'site.yml',
    variables: string,
    options: {
      nodes: readonly string[];
      tolerant?: boolean;
      /** Ansible's variables for the connections of this run. */
      connections?: Readonly<Record<string, string>>;
      /** Called with what a reader should know about the steps, even if a later task failed. */
      onNotes?: (notes: AnsibleResult['notes']) => void;
    },
  ): Promise<AnsibleResult> {
    const { nodes, tolerant = false, connections = {}, onNotes } = options;
    const folder = await mkdtemp(join(this.#temporary, 'ansible-'));
    const variablesFile = join(folder, 'variables.json');
    const resultFile = join(folder, 'result.json');
    try {
      await writeSecretFile(variablesFile, variables);
      const failure = await this.#play(playbook, { variablesFile, resultFile, connections });
      const result = await readResult(resultFile, nodes);
      if (result !== null) onNotes?.(result.notes);
      const told = (result?.observations.length ?? 0) + (result?.failures.length ?? 0);
      const isTolerable = tolerant && told > 0;
      if (failure && !isTolerable) throw explainFailure(playbook, failure, result);
      if (result === null) throw new Error(`${playbook} left no report`);
      return result;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Folder of the sockets of the open connections; null before the first run. */
  get sockets(): string | null {
    return this.#prepared?.sockets ?? null;
  }

  /** Ends the ssh connections: the runner kills processes that outlive the job. */
  async close(): Promise<void> {
    if (this.#prepared === null) return;
    const { sockets } = this.#prepared;
    const environment = chooseEnvironment(process.env, { program: 'ssh' });
    const exits = (await readdir(sockets)).map((name) =>
      runShortCommand(
        'ssh',
        ['-F', '/dev/null', '-O', 'exit', '-o', `ControlPath=${join(sockets, name)}`, 'any'],
        environment,
      ),
    );
    await Promise.all(exits);
    await rm(sockets, { recursive: true, force: true });
    this.#prepared = null;
  }

  async #play(
    playbook: string,
    options: {
      variablesFile: string;
      resultFile: string;
      connections: Readonly<Record<string, string>>;
    },
  ): Promise<ProcessError | null> {
    const { variablesFile, resultFile, connections } = options;
    this.#prepared ??= await this.#prepare();
    const { playbooks, environment } = this.#prepared;
    try {
      await runProcess(
        'ansible-playbook',
        [join(playbooks, playbook), '-i', this.#inventory, '-e', `@${variablesFile}`],
        {
          cwd: playbooks,
          env: { ...environment, ...connections, CLUSTER_RESULT: resultFile },
          onLine: this.#log,
          interrupt: 'insistently',
        },
      );
      return null;
    } catch (error) {
      if (error instanceof ProcessError) return error;
      throw error;
    }
  }

  /** Copies the playbooks to a safe path, because Ansible reads templates and variables in paths. */
  async #prepare(): Promise<Prepared> {
    const playbooks = join(this.#temporary, 'playbooks');
    await copyAssets(this.#playbooks, playbooks);
    const sockets = await mkdtemp(join(this.#temporary, 's-'));
    const home = join(this.#temporary, 'ansible-home');
    await mkdir(home, { recursive: true });
    const environment = {
      ...chooseEnvironment(process.env, {
        program: 'ansible',
        temporary: childTemporary({ temporary: this.#temporary }),
      }),
      ANSIBLE_CONFIG: join(playbooks, 'ansible.cfg'),
      // Otherwise Ansible uses plugins, collections and temporary files of the user's home.
      ANSIBLE_HOME: home,
      ANSIBLE_SSH_CONTROL_PATH_DIR: sockets,
      // A template of Python's, and the name that `readProgress` uses.
      ANSIBLE_SSH_CONTROL_PATH: `%(directory)s/%${CONTROL_SOCKET}`,
      PYTHONUNBUFFERED: '1',
    };
    await checkAnsible(environment);
    return { playbooks, sockets, environment };
  }
}

/**
 * Checks that PATH has a supported version of ansible-playbook, in the environment of the runs: even for its version,
 * Ansible reads a configuration, which may name programs to start.
 *
 * @throws UserError that names the command to install it
 */
async function checkAnsible(environment: Readonly<Record<string, string>>): Promise<void> {
  const output = await runShortCommand('ansible-playbook', ['--version'], environment);
  if (output === null) {
    throw new UserError(`ansible-playbook: not found on PATH. ${INSTALL_HINT}`);
  }
  const { stdout, stderr } = output;
  const version = /\[core (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version === undefined) {
    const answer = quoteValue([stdout, stderr].join('\n').trim());
    throw new UserError(
      `ansible-playbook: asked for its version, it says ${answer} and no version. Repair it, or replace it: ${INSTALL_HINT}`,
    );
  }
  if (compareVersions(version, MINIMUM_VERSION) < 0) {
    throw new UserError(
      `ansible-playbook: PATH has ansible-core ${version}, and ${MINIMUM_VERSION} or later is required. ${INSTALL_HINT}`,
    );
  }
}

interface Prepared {
  readonly playbooks: string;
  readonly sockets: string;
  readonly environment: Readonly<Record<string, string>>;
}

async function readResult(path: string, nodes: readonly string[]): Promise<AnsibleResult | null> {
  try {
    const { size } = await stat(path);
    if (size > RESULT_BYTES) throw refuseSize(size);
    return parseResult(await readFile(path, 'utf8'), { nodes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function explainFailure(
  playbook: string,
  error: ProcessError,
  result: AnsibleResult | null,
): UserError {
  if (result === null || result.failures.length === 0) {
    return new UserError(`${playbook} failed:\n${error.result.stderr.trim() || error.message}`, {
      cause: error,
    });
  }
  return new PlaybookError(result, { cause: error });
}
