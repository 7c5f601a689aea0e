import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledError, UserError } from '../messages/errors.ts';
import {
  ProcessError,
  type ProcessResult,
  runProcess,
  type SurvivorOptions,
} from '../process/child-process.ts';
import { explainCredentials } from './credentials.ts';
import { type RescueResult, refuseErroredState, rescueState } from './errored-state.ts';
import type { TerraformProduct } from './install.ts';
import type { PlanOverrides } from './node-changes.ts';
import type { Permit } from './permit.ts';
import {
  explainLockFailure,
  LOCK_FILE,
  type ProviderLock,
  ProviderLockError,
  parseProviderLock,
} from './provider-lock.ts';

/** How long to wait for another run's state lock: as long as that run may need to make instances. */
const LOCK_TIMEOUT = '10m';

/** The lock may be the one that the failed apply could not release. */
const PUSH_LOCK_TIMEOUT = '10s';

/** How people call the program at a prompt. */
const COMMANDS: Readonly<Record<TerraformProduct, string>> = {
  Terraform: 'terraform',
  OpenTofu: 'tofu',
};

/** What a `Terraform` is made of; it survives JSON. */
export interface TerraformSetup {
  readonly binary: string;
  /** What `binary` is. */
  readonly product: TerraformProduct;
  readonly directory: string;
  /** A folder that outlives the job, for a state that an apply could not save. */
  readonly keep: string;
  /** The type of the backend. */
  readonly backend: string;
  /** The job's private folder. */
  readonly temporary: string;
}

/** One Terraform directory, driven through the command line of Terraform or OpenTofu. */
export class Terraform {
  readonly #binary: string;
  readonly #product: TerraformProduct;
  readonly #directory: string;
  readonly #keep: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #log: (line: string) => void;
  readonly #providerLock: string | null;
  readonly #providers: string | null;
  #initialised = false;

  constructor(
    /** Without a product `binary` is Terraform; without `keep` that folder is below `directory`. */
    options: Pick<TerraformSetup, 'binary' | 'directory'> &
      Partial<Pick<TerraformSetup, 'product' | 'keep'>> & {
        /** What the program gets besides what is set here. */
        environment: Readonly<Record<string, string>>;
        log: (line: string) => void;
        /** Text of the lock file that `init` has to keep to; null: it chooses the provider and writes its own. */
        providerLock?: string | null;
        /** The only folder that `init` takes providers from; null: it asks where the CLI configuration says. */
        providers?: string | null;
      },
  ) {
    this.#binary = options.binary;
    this.#product = options.product ?? 'Terraform';
    this.#directory = options.directory;
    this.#keep = options.keep ?? join(options.directory, 'errored-state');
    this.#environment = options.environment;
    this.#log = options.log;
    this.#providerLock = options.providerLock ?? null;
    this.#providers = options.providers ?? null;
  }

  /**
   * The same program in another directory, with the provider that this one has installed. That directory must have no
   * backend.
   */
  async inDirectory(directory: string): Promise<Terraform> {
    const providers = join(this.#directory, '.terraform', 'providers');
    // None where the provider is one that is reattached.
    const isInstalled = await access(providers).then(
      () => true,
      () => false,
    );
    return new Terraform({
      binary: this.#binary,
      product: this.#product,
      directory,
      environment: this.#environment,
      log: this.#log,
      providerLock: await this.readProviderLock(),
      providers: isInstalled ? providers : null,
    });
  }

  /**
   * `terraform init`: backend and providers; the first time only.
   *
   * @throws ProviderLockError when the provider of the lock that was given cannot be had
   * @throws UserError when another provider than the templates' was installed
   */
  async init(): Promise<void> {
    if (this.#initialised) return;
    const lock = await this.#writeLock();
    const readonly = lock === null ? [] : ['-lockfile=readonly'];
    const source = this.#providers === null ? [] : [`-plugin-dir=${this.#providers}`];
    try {
      await this.#run([
        'init',
        '-input=false',
        '-no-color',
        '-reconfigure',
        ...readonly,
        ...source,
      ]);
    } catch (error) {
      const stderr = error instanceof UserError ? error.message : '';
      const problem = lock === null ? null : explainLockFailure(stderr, lock);
      throw problem === null ? error : new ProviderLockError(problem, { cause: error });
    }
    // Before any provider is started: init installs whatever the state names as well.
    await this.readProviderLock();
    this.#initialised = true;
  }

  /**
   * The text of the lock file after `init`; null where no provider was installed, as with one that is reattached.
   *
   * @throws UserError when it is not that of the templates' provider alone
   */
  async readProviderLock(): Promise<string | null> {
    const text = await readFile(join(this.#directory, LOCK_FILE), 'utf8').catch(() => null);
    if (text !== null && parseProviderLock(text) === null) {
      throw new UserError(
        `${LOCK_FILE}: this is not the lock of the provider hashicorp/aws alone, as init writes it for the templates, so nothing was started. The state names another provider, or its checksum is not known. Find out who wrote the state, and bring back the one of the last apply.`,
      );
    }
    return text;
  }

  async #writeLock(): Promise<ProviderLock | null> {
    if (this.#providerLock === null) return null;
    const lock = parseProviderLock(this.#providerLock);
    // Whatever it names would be installed and run.
    if (lock === null)
      throw new Error('the lock file to keep to is not that of hashicorp/aws alone');
    await writeFile(join(this.#directory, LOCK_FILE), this.#providerLock);
    return lock;
  }

  /**
   * `terraform plan` into `planFile`. `publicKey` fills the variable when the directory was generated
   * without it; without `lock` it neither takes nor awaits the state's lock; with `stage` it is a part of
   * the whole change; with `refreshOnly` it only asks the provider what there is.
   *
   * @throws UserError with Terraform's own words
   */
  async plan(
    planFile: string,
    {
      publicKey,
      lock,
      stage,
      refreshOnly = false,
    }: { publicKey: string | null; lock: boolean; stage?: PlanOverrides; refreshOnly?: boolean },
  ): Promise<void> {
    const locking = lock ? `-lock-timeout=${LOCK_TIMEOUT}` : '-lock=false';
    const replace = (stage?.replace ?? []).map((address) => `-replace=${address}`);
    const mode = refreshOnly ? ['-refresh-only'] : [];
    const only = (stage?.only ?? []).map((address) => `-target=${address}`);
    await this.#run(
      [
        'plan',
        '-input=false',
        '-no-color',
        locking,
        ...mode,
        ...replace,
        ...only,
        `-out=${planFile}`,
      ],
      {
        // A file's value would win over the environment, so this only ever fills a gap.
        env: {
          ...(publicKey !== null && { TF_VAR_ssh_public_key: publicKey }),
          ...(stage && renderOverrides(stage)),
        },
      },
    );
  }

  /** The plan file as JSON text (format version 1.x). Sensitive values are in it in clear. */
  async showJson(planFile: string): Promise<string> {
    return (await this.#run(['show', '-json', '-no-color', planFile], { quiet: true })).stdout;
  }

  /** The plan file as Terraform words it for people; sensitive values are hidden by Terraform. */
  async showText(planFile: string): Promise<string> {
    return (await this.#run(['show', '-no-color', planFile], { quiet: true })).stdout;
  }

  /**
   * Applies exactly the plan that is permitted. Outlives a kill of this process: what it has begun must get into the state,
   * and the lock must be given back. A state that it could not save is pushed, or kept.
   *
   * @throws UserError with Terraform's own words, and what became of the state
   */
  async apply({ planFile }: Permit, outlives: SurvivorOptions): Promise<void> {
    await refuseErroredState(this.#erroredState);
    try {
      await this.#run(
        ['apply', '-input=false', '-no-color', `-lock-timeout=${LOCK_TIMEOUT}`, planFile],
        { outlives },
      );
    } catch (error) {
      if (error instanceof CancelledError) {
        // Cancelled as well, it only keeps the state: the post step pushes it.
        await this.rescueState().catch(() => null);
        throw error;
      }
      if (!(error instanceof UserError)) throw error;
      const rescue = await this.rescueState();
      if (rescue === null) throw error;
      throw new UserError([...error.problems, rescue.message], { cause: error });
    }
  }

  /** Saves the state that an apply left in a file because it could not write it to the backend. Returns null without such a file. */
  async rescueState(): Promise<RescueResult | null> {
    return rescueState(this.#erroredState, {
      push: (file) => this.#run(['state', 'push', `-lock-timeout=${PUSH_LOCK_TIMEOUT}`, file]),
    });
  }

  get #erroredState() {
    return { directory: this.#directory, keep: this.#keep, command: COMMANDS[this.#product] };
  }

  /** The outputs of the current state, as `terraform output -json` gives them. */
  async outputs(): Promise<unknown> {
    return JSON.parse((await this.#run(['output', '-json', '-no-color'], { quiet: true })).stdout);
  }

  async #run(
    args: readonly string[],
    options: {
      quiet?: boolean;
      env?: Readonly<Record<string, string>>;
      outlives?: SurvivorOptions;
    } = {},
  ): Promise<ProcessResult> {
    try {
      return await runProcess(this.#binary, args, {
        cwd: this.#directory,
        env: {
          ...this.#environment,
          TF_IN_AUTOMATION: '1',
          TF_INPUT: '0',
          CHECKPOINT_DISABLE: '1',
          ...options.env,
        },
        ...(options.outlives && { outlives: options.outlives }),
        ...(!options.quiet && { onLine: this.#log }),
      });
    } catch (error) {
      if (error instanceof ProcessError) {
        throw explainFailure(error, { product: this.#product, subcommand: nameCommand(args) });
      }
      throw error;
    }
  }
}

/**
 * A stage as Terraform's environment variables. It is in no file: it belongs to a moment, and a file left
 * over from an interrupted run would hold the cluster there.
 */
function renderOverrides({
  instanceTypes,
  keptNodes,
  started = [],
}: PlanOverrides): Record<string, string> {
  const strange = Object.entries(instanceTypes).find(
    ([number, type]) => !/^\d+$/.test(number) || !/^[a-z0-9.-]+$/.test(type),
  );
  // Terraform reads a map as an expression: nothing but plain names may get into it.
  if (strange) throw new Error(`node ${strange[0]} has no instance type: ${strange[1]}`);
  const other = [...keptNodes, ...started].find((number) => !/^\d+$/.test(number));
  if (other !== undefined) throw new Error(`${other} is no node's number`);
  return {
    TF_VAR_node_instance_types: JSON.stringify(instanceTypes),
    TF_VAR_kept_nodes: JSON.stringify(keptNodes),
    TF_VAR_started_nodes: JSON.stringify(started),
  };
}

/** The program's own words, with the next step where it is known. */
function explainFailure(
  error: ProcessError,
  { product, subcommand }: { product: TerraformProduct; subcommand: string },
): UserError {
  const command = COMMANDS[product];
  const stderr = error.result.stderr.trim();
  return new UserError(
    `${command} ${subcommand} failed:\n${stderr}${findNextStep(stderr, product)}`,
    { cause: error },
  );
}

/** `plan`, `state push` */
function nameCommand(args: readonly string[]): string {
  return args.slice(0, args[0] === 'state' ? 2 : 1).join(' ');
}

function findNextStep(stderr: string, product: TerraformProduct): string {
  const command = COMMANDS[product];
  const locked = /Error acquiring the state lock([\s\S]*)/.exec(stderr)?.[1];
  if (locked !== undefined) {
    const { ID: id, Who: who, Operation: operation, Created: created } = readLock(locked);
    if (id !== undefined) {
      const holder = [who, operation, created && `since ${created}`].filter(Boolean).join(', ');
      return `\nAnother run holds the state lock (${holder}). Wait for it and run this again. If that run is dead: ${command} force-unlock ${id}`;
    }
  }
  if (/Error releasing the state lock/.test(stderr)) {
    return `\nThe state lock may still be held. The next run says by what lock ID; release it then with: ${command} force-unlock ID`;
  }
  const credentials = explainCredentials(stderr);
  return credentials === null ? '' : `\n${credentials}`;
}

/** The lines of Terraform's "Lock Info". */
function readLock(text: string): Partial<Record<string, string>> {
  const lines = text.matchAll(/^\W*(ID|Who|Operation|Created):[ \t]+(\S.*?)\s*$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
}
