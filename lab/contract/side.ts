import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PlanDocument } from './compare.ts';

/** A plan to make: variables beside the generated ones, and Terraform's options. */
export interface PlanOptions {
  readonly tfvars: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** One of the two providers with a configuration and its state. */
export class Side {
  readonly #directory: string;
  readonly #environment: NodeJS.ProcessEnv;

  /** `environment` connects Terraform to the provider. */
  constructor(
    directory: string,
    files: ReadonlyMap<string, string>,
    environment: Readonly<Record<string, string>>,
  ) {
    mkdirSync(directory, { recursive: true });
    for (const [name, text] of files) writeFileSync(join(directory, name), text);
    this.#directory = directory;
    const own = { ...process.env };
    // The user's own configuration must not affect the tests.
    delete own.TF_CLI_CONFIG_FILE;
    this.#environment = { ...own, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1', ...environment };
  }

  init(): Promise<string> {
    return this.#run(['init', '-input=false', '-no-color']);
  }

  async plan({ tfvars, environment = {}, args = [] }: PlanOptions): Promise<void> {
    writeFileSync(join(this.#directory, 'terraform.tfvars.json'), tfvars);
    await this.#run(
      ['plan', '-input=false', '-no-color', '-lock=false', '-out=plan', ...args],
      environment,
    );
  }

  /** The last plan as `terraform show -json` writes it. */
  async show(): Promise<PlanDocument> {
    return JSON.parse(await this.#run(['show', '-json', 'plan']));
  }

  /** Applies the last plan. */
  async apply(): Promise<void> {
    await this.#run(['apply', '-input=false', '-no-color', '-lock=false', 'plan']);
  }

  /** The id of a node's instance, by the node's name. */
  async findInstance(name: string): Promise<string> {
    const nodes: { name: string; instance_id: string }[] = JSON.parse(
      await this.#run(['output', '-json', 'nodes']),
    );
    const node = nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`${name} is not in the state`);
    return node.instance_id;
  }

  #run(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    return new Promise<string>((resolve, reject) => {
      const options = {
        cwd: this.#directory,
        env: { ...this.#environment, ...environment },
        maxBuffer: 64 * 1024 * 1024,
      };
      execFile('terraform', args, options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`terraform ${args.join(' ')}:\n${stdout}${stderr}`));
      });
    });
  }
}
