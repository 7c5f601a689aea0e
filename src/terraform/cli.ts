import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledError, UserError } from '../messages/errors.ts';
import {
  ProcessError,
  type ProcessResult,
  runProcess,
  type SurvivorOptions,
} from '../process/child-process.ts';
import type { PlannedInstances } from './capacity-failure.ts';
import { type RescueResult, refuseErroredState, rescueState } from './errored-state.ts';
import { COMMANDS, explainFailure } from './explain-failure.ts';
import type { TerraformProduct } from './install.ts';
import { type PlanOverrides, readPlannedInstances } from './node-changes.ts';
import type { Permit } from './permit.ts';
import { extractPlanText } from './plan-output.ts';
import { renderPlanVariables } from './plan-variables.ts';
import {
  explainLockFailure,
  LOCK_FILE,
  type ProviderLock,
  ProviderLockError,
  parseProviderLock,
} from './provider-lock.ts';

/** How long to wait for another run's state lock: that run may be creating instances. */
const LOCK_TIMEOUT = '10m';

/** Shorter, because the failed apply may not have released its own lock. */
const PUSH_LOCK_TIMEOUT = '10s';

/** The options of a `Terraform` that can be saved as JSON. */
export interface TerraformSetup {
  readonly binary: string;
  /** The program behind `binary`. */
  readonly product: TerraformProduct;
  readonly directory: string;
  /** A folder that outlives the job, for a state that could not be saved. */
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
  readonly #variables: Readonly<Record<string, string>>;
  #initialised = false;

  constructor(
    /** `product` defaults to Terraform, `keep` to a folder below `directory`. */
    options: Pick<TerraformSetup, 'binary' | 'directory'> &
      Partial<Pick<TerraformSetup, 'product' | 'keep'>> & {
        /** The program's environment, without the variables that this class sets. */
        environment: Readonly<Record<string, string>>;
        log: (line: string) => void;
        /** Text of the lock file that `init` must use; if null, `init` chooses the provider and writes its own. */
        providerLock?: string | null;
        /** The only folder that `init` installs providers from; if null, the CLI configuration decides. */
        providers?: string | null;
        /** Variables of every plan that are not in the directory's files, as environment variables (`TF_VAR_…`). */
        variables?: Readonly<Record<string, string>>;
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
    this.#variables = options.variables ?? {};
  }

  /** Returns the same program, with the provider of this directory, for another one that must not have a backend. */
  async inDirectory(directory: string): Promise<Terraform> {
    const providers = join(this.#directory, '.terraform', 'providers');
    // A provider that is reattached (TF_REATTACH_PROVIDERS) is not installed.
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
   * Runs `terraform init`, which sets up the backend and the providers. Later calls do nothing.
   *
   * @throws ProviderLockError if the locked provider cannot be installed
   * @throws UserError if a provider other than the templates' was installed
   */
  async init(): Promise<void> {
    if (this.#initialised) return;
    const lock = await this.#writeLock();
    const options = [
      ...(lock === null ? [] : ['-lockfile=readonly']),
      ...(this.#providers === null ? [] : [`-plugin-dir=${this.#providers}`]),
    ];
    try {
      await this.#run(['init', '-input=false', '-no-color', '-reconfigure', ...options]);
    } catch (error) {
      const stderr = error instanceof UserError ? error.message : '';
      const problem = lock === null ? null : explainLockFailure(stderr, lock);
      throw problem === null ? error : new ProviderLockError(problem, { cause: error });
    }
    // Checked before any provider is started, because init also installs the providers that the state names.
    await this.readProviderLock();
    this.#initialised = true;
  }

  /**
   * Returns the text of the lock file after `init`; null if no provider was installed, for example a reattached one.
   *
   * @throws UserError if it locks anything but the templates' provider
   */
  async readProviderLock(): Promise<string | null> {
    const text = await readFile(join(this.#directory, LOCK_FILE), 'utf8').catch(() => null);
    if (text !== null && parseProviderLock(text) === null) {
      throw new UserError(
        `${LOCK_FILE}: this is not the lock of the provider hashicorp/aws alone, as init writes it for the templates, so nothing was started. The state names another provider, or its checksum is not known. Find out who wrote the state, and restore the one of the last apply.`,
      );
    }
    return text;
  }

  async #writeLock(): Promise<ProviderLock | null> {
    if (this.#providerLock === null) return null;
    const lock = parseProviderLock(this.#providerLock);
    // Every provider in it would be installed and run.
    if (lock === null) throw new Error('the reviewed lock file locks more than hashicorp/aws');
    await writeFile(join(this.#directory, LOCK_FILE), this.#providerLock);
    return lock;
  }

  /**
   * Runs `terraform plan` into `planFile`. `publicKey` fills the variable if the directory was generated without it.
   * Without `lock` the state's lock is ignored. `stage` plans a part of the whole change. The mode `refresh-only` reads the
   * real resources and plans no change, `destroy` plans the removal of everything in the state.
   *
   * Returns the text of the plan as Terraform prints it, with sensitive values hidden; null if its wording is unknown.
   *
   * @throws UserError with Terraform's own words
   */
  async plan(
    planFile: string,
    {
      publicKey,
      lock,
      stage,
      mode,
    }: {
      publicKey: string | null;
      lock: boolean;
      stage?: PlanOverrides;
      mode?: 'refresh-only' | 'destroy';
    },
  ): Promise<string | null> {
    const locking = lock ? `-lock-timeout=${LOCK_TIMEOUT}` : '-lock=false';
    const replace = (stage?.replace ?? []).map((address) => `-replace=${address}`);
    const only = (stage?.only ?? []).map((address) => `-target=${address}`);
    const { stdout } = await this.#run(
      [
        'plan',
        '-input=false',
        '-no-color',
        locking,
        ...(mode === undefined ? [] : [`-${mode}`]),
        ...replace,
        ...only,
        `-out=${planFile}`,
      ],
      {
        // A value in a file overrides the environment, so this only fills a gap.
        env: {
          ...this.#variables,
          ...(publicKey !== null && { TF_VAR_ssh_public_key: publicKey }),
          ...(stage && renderPlanVariables(stage)),
        },
      },
    );
    return extractPlanText(stdout);
  }

  /** Returns the plan file as JSON text (format version 1.x), with sensitive values in plain text. */
  async showJson(planFile: string): Promise<string> {
    return (await this.#run(['show', '-json', '-no-color', planFile], { quiet: true })).stdout;
  }

  /** Returns the plan file as Terraform prints it. Terraform hides sensitive values. */
  async showText(planFile: string): Promise<string> {
    return (await this.#run(['show', '-no-color', planFile], { quiet: true })).stdout;
  }

  /**
   * Applies exactly the permitted plan. The child survives a kill of this process, so that it can save the state and
   * release the lock. A state that it could not save is pushed, or kept.
   *
   * @throws UserError with Terraform's own words, and what happened to the state
   */
  async apply({ planFile, summary }: Permit, outlives: SurvivorOptions): Promise<void> {
    await this.refuseUnsavedState();
    try {
      await this.#run(
        ['apply', '-input=false', '-no-color', `-lock-timeout=${LOCK_TIMEOUT}`, planFile],
        { outlives, planned: readPlannedInstances(summary) },
      );
    } catch (error) {
      if (error instanceof CancelledError) {
        // The push is cancelled as well, so this only keeps the state; the post step pushes it.
        await this.rescueState().catch(() => null);
        throw error;
      }
      if (!(error instanceof UserError)) throw error;
      const rescue = await this.rescueState();
      if (rescue === null) throw error;
      throw new UserError([...error.problems, rescue.message], { cause: error });
    }
  }

  /** Refuses to go on, with the next steps, while the state of an earlier apply is not saved. */
  refuseUnsavedState(): Promise<void> {
    return refuseErroredState(this.#erroredState);
  }

  /** Saves the state that an apply could not write to the backend and left in a file. Returns null without such a file. */
  async rescueState(): Promise<RescueResult | null> {
    return rescueState(this.#erroredState, {
      push: (file) => this.#run(['state', 'push', `-lock-timeout=${PUSH_LOCK_TIMEOUT}`, file]),
    });
  }

  get #erroredState() {
    return { directory: this.#directory, keep: this.#keep, command: COMMANDS[this.#product] };
  }

  /** Returns the addresses of what is in the current state; empty if there is no state yet. Starts no provider. */
  async listState(): Promise<string[]> {
    try {
      const { stdout } = await this.#run(['state', 'list', '-no-color'], { quiet: true });
      return stdout.split('\n').filter((line) => line !== '');
    } catch (error) {
      if (error instanceof UserError && error.message.includes('No state file')) return [];
      throw error;
    }
  }

  /** Returns the outputs of the current state, parsed from `terraform output -json`. */
  async outputs(): Promise<unknown> {
    return JSON.parse((await this.#run(['output', '-json', '-no-color'], { quiet: true })).stdout);
  }

  async #run(
    args: readonly string[],
    options: {
      quiet?: boolean;
      env?: Readonly<Record<string, string>>;
      outlives?: SurvivorOptions;
      /** The instances of the plan that is applied. */
      planned?: PlannedInstances;
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
        throw explainFailure(error, { product: this.#product, args, planned: options.planned });
      }
      throw error;
    }
  }
}
