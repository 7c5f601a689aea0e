import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The result of a Terraform command. */
export interface Outcome {
  readonly code: number;
  readonly output: string;
}

/** What a plan does to one resource, e.g. `aws_instance.node` and `delete,create`. */
export interface PlannedChange {
  readonly address: string;
  readonly actions: string;
  readonly before: { readonly [name: string]: unknown } | null;
  readonly after: { readonly [name: string]: unknown } | null;
  /** True where a value is known only after apply. */
  readonly unknown: { readonly [name: string]: unknown };
  readonly replacePaths: readonly (readonly (string | number)[])[];
}

/** A folder with a configuration, in which Terraform runs against the emulator. */
export class Workspace {
  readonly directory: string;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(directory: string, reattach: string) {
    mkdirSync(directory, { recursive: true });
    this.directory = directory;
    this.#environment = {
      ...process.env,
      TF_REATTACH_PROVIDERS: reattach,
      TF_IN_AUTOMATION: '1',
      CHECKPOINT_DISABLE: '1',
    };
    // The user's own configuration must not affect the tests.
    delete this.#environment.TF_CLI_CONFIG_FILE;
  }

  /** Writes the configuration; the provider's requirement is added. */
  write(configuration: string): void {
    const requirement =
      'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n';
    writeFileSync(join(this.directory, 'main.tf'), requirement + configuration);
  }

  /** Runs one Terraform command; the output combines both streams. */
  run(...args: string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const options = { cwd: this.directory, env: this.#environment, maxBuffer: 64 * 1024 * 1024 };
      execFile('terraform', args, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, output: stdout + stderr });
      });
    });
  }

  /** Runs a command that must succeed; otherwise throws its output. */
  async demand(...args: string[]): Promise<string> {
    const { code, output } = await this.run(...args);
    if (code !== 0) throw new Error(`terraform ${args.join(' ')} ended with ${code}:\n${output}`);
    return output;
  }

  async init(): Promise<void> {
    await this.demand('init', '-input=false', '-no-color');
  }

  async apply(...args: string[]): Promise<void> {
    await this.demand('apply', '-input=false', '-auto-approve', '-no-color', ...args);
  }

  /** The planned changes, without no-ops. */
  async plan(...args: string[]): Promise<PlannedChange[]> {
    await this.demand('plan', '-input=false', '-no-color', '-out=plan', ...args);
    const { resource_changes = [] } = JSON.parse(await this.demand('show', '-json', 'plan'));
    return (resource_changes as { address: string; change: RawChange }[])
      .filter(({ change }) => change.actions[0] !== 'no-op' && change.actions[0] !== 'read')
      .map(({ address, change }) => ({
        address,
        actions: change.actions.join(),
        before: change.before,
        after: change.after,
        unknown: change.after_unknown ?? {},
        replacePaths: change.replace_paths ?? [],
      }));
  }

  /** The one-line error summaries of an apply that must fail. */
  async refuse(...args: string[]): Promise<string> {
    const { code, output } = await this.run(
      'apply',
      '-input=false',
      '-auto-approve',
      '-json',
      ...args,
    );
    if (code === 0) throw new Error('The apply was to be refused.');
    const events = output.split('\n').filter((line) => line.startsWith('{'));
    const errors = events
      .map((line) => JSON.parse(line))
      .filter((event) => event['@level'] === 'error');
    return errors
      .map(({ diagnostic }) => `${diagnostic?.summary} ${diagnostic?.detail}`)
      .join('\n');
  }
}

interface RawChange {
  readonly actions: readonly string[];
  readonly before: PlannedChange['before'];
  readonly after: PlannedChange['after'];
  readonly after_unknown?: PlannedChange['unknown'];
  readonly replace_paths?: PlannedChange['replacePaths'];
}
