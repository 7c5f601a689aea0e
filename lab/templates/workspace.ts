import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The product's Terraform files. */
export const TEMPLATES = join(import.meta.dirname, '../../templates/aws');

/** A public key that the templates accept. */
export const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgXOsdfj0wRL7+ih9Q/34hXBgWvYDlbe5W7+D5MMpj team';

/** Values of the templates' variables, as the action writes them to `terraform.tfvars.json`. */
export type Values = { readonly [variable: string]: unknown };

/** What a plan does to one resource. A replacement is one action, in either order. */
export interface Change {
  readonly address: string;
  /** Address without the instance key, e.g. `aws_instance.node`. */
  readonly resource: string;
  readonly action: 'create' | 'update' | 'replace' | 'delete';
}

/** An error or a warning of Terraform. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly summary: string;
  readonly detail: string;
}

/** A plan, or the errors that prevented it. */
export interface Plan {
  readonly changes: readonly Change[];
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
}

/** A directory with Terraform files and their state. */
export interface Workspace {
  readonly directory: string;
  /** Environment of every Terraform command. */
  readonly environment: NodeJS.ProcessEnv;
}

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function runTerraform(
  { directory, environment }: Workspace,
  args: readonly string[],
): Promise<Finished> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: environment, maxBuffer: 64 * 1024 * 1024 };
    execFile('terraform', args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr: stderr || (error?.message ?? '') });
    });
  });
}

async function demandTerraform(workspace: Workspace, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runTerraform(workspace, args);
  if (code !== 0) {
    throw new Error(
      `terraform ${args.join(' ')} in ${workspace.directory} ended with ${code}:\n${stdout}${stderr}`,
    );
  }
  return stdout;
}

/**
 * Makes a workspace of Terraform files (by default the templates) and initialises it.
 * `reattach` is the value of `TF_REATTACH_PROVIDERS`, which connects to the AWS emulator.
 */
export async function openWorkspace({
  directory,
  reattach,
  files,
}: {
  directory: string;
  reattach: string;
  files?: { readonly [name: string]: string };
}): Promise<Workspace> {
  mkdirSync(directory, { recursive: true });
  if (files === undefined) {
    const names = readdirSync(TEMPLATES).filter((name) => name.endsWith('.tf'));
    for (const name of names) cpSync(join(TEMPLATES, name), join(directory, name));
  } else {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  }
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    TF_REATTACH_PROVIDERS: reattach,
    TF_IN_AUTOMATION: '1',
    CHECKPOINT_DISABLE: '1',
  };
  // The user's own command line configuration must not affect the tests.
  delete environment.TF_CLI_CONFIG_FILE;
  const workspace = { directory, environment };
  await demandTerraform(workspace, ['init', '-input=false', '-no-color']);
  return workspace;
}

/**
 * Plans the values; returns Terraform's refusals in `errors`. Throws if Terraform fails without a reason.
 * No plan file is kept: the result is read from the events that `-json` prints, in one process and without a lock.
 */
export async function planValues(workspace: Workspace, values: Values): Promise<Plan> {
  return runWithValues(workspace, ['plan', '-json', '-input=false', '-lock=false'], values);
}

/** Plans and applies the values; throws Terraform's message if either fails. Returns the plan. */
export async function applyValues(workspace: Workspace, values: Values): Promise<Plan> {
  const plan = await runWithValues(
    workspace,
    ['apply', '-json', '-input=false', '-auto-approve'],
    values,
  );
  if (plan.errors.length > 0) {
    throw new Error(plan.errors.map(({ summary, detail }) => `${summary}: ${detail}`).join('\n'));
  }
  return plan;
}

/** Destroys everything in the workspace. */
export async function destroyAll(workspace: Workspace, values: Values): Promise<Plan> {
  return runWithValues(workspace, ['destroy', '-json', '-input=false', '-auto-approve'], values);
}

async function runWithValues(
  workspace: Workspace,
  args: readonly string[],
  values: Values,
): Promise<Plan> {
  writeFileSync(join(workspace.directory, 'terraform.tfvars.json'), JSON.stringify(values));
  const { code, stdout, stderr } = await runTerraform(workspace, args);
  const plan = readPlan(stdout);
  if (code !== 0 && plan.errors.length === 0) {
    throw new Error(
      `terraform ${args[0]} ended with ${code} and no diagnostic:\n${stdout}${stderr}`,
    );
  }
  return plan;
}

/** The outputs of the last apply by name. */
export async function readOutputs(workspace: Workspace): Promise<{ [name: string]: unknown }> {
  const outputs: { [name: string]: { value: unknown } } = JSON.parse(
    await demandTerraform(workspace, ['output', '-json']),
  );
  return Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value]));
}

/** The state's resources by address, with their values. */
export async function readState(
  workspace: Workspace,
): Promise<Map<string, { readonly [name: string]: unknown }>> {
  const shown = JSON.parse(await demandTerraform(workspace, ['show', '-json']));
  const resources: { address: string; values: { [name: string]: unknown } }[] =
    shown.values?.root_module?.resources ?? [];
  return new Map(resources.map(({ address, values }) => [address, values]));
}

/** Counts the actions of a plan: `{"update aws_instance.node": 3}`. */
export function countChanges(changes: readonly Change[]): { [what: string]: number } {
  const counts: { [what: string]: number } = {};
  for (const { action, resource } of changes) {
    const what = `${action} ${resource}`;
    counts[what] = (counts[what] ?? 0) + 1;
  }
  return counts;
}

/** One line of Terraform's machine-readable output, reduced to the fields used here. */
type Event =
  | { readonly type: 'diagnostic'; readonly diagnostic: Partial<Diagnostic> }
  | {
      readonly type: 'planned_change';
      readonly change: {
        readonly action: string;
        readonly resource: {
          readonly addr: string;
          readonly resource_type: string;
          readonly resource_name: string;
        };
      };
    }
  | { readonly type: 'other' };

const ACTIONS: readonly string[] = ['create', 'update', 'replace', 'delete'];

function readPlan(lines: string): Plan {
  const changes: Change[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const line of lines.split('\n').filter((text) => text.startsWith('{'))) {
    const event: Event = JSON.parse(line);
    if (event.type === 'diagnostic') {
      const { severity = 'error', summary = '', detail = '' } = event.diagnostic;
      diagnostics.push({ severity, summary, detail });
    } else if (event.type === 'planned_change') {
      const { action, resource } = event.change;
      if (!ACTIONS.includes(action)) continue;
      changes.push({
        address: resource.addr,
        resource: `${resource.resource_type}.${resource.resource_name}`,
        action: action as Change['action'],
      });
    }
  }
  return {
    changes,
    errors: diagnostics.filter(({ severity }) => severity === 'error'),
    warnings: diagnostics.filter(({ severity }) => severity === 'warning'),
  };
}

/** The names of the variables that a template file declares, and whether each has a validation. */
export function readVariables(): Map<string, { readonly hasValidation: boolean }> {
  const text = readFileSync(join(TEMPLATES, 'variables.tf'), 'utf8');
  const blocks = text.split(/^variable "/m).slice(1);
  return new Map(
    blocks.map((block) => [
      block.slice(0, block.indexOf('"')),
      { hasValidation: /^ {2}validation \{/m.test(block) },
    ]),
  );
}
