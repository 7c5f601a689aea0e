import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Aws, startAws } from '../../../lab/aws/main.ts';
import { reachAws } from '../../../lab/tools/wrap-program.ts';
import { Terraform } from '../../terraform/cli.ts';
import { permit } from '../../terraform/permit.ts';
import { type PlanSummary, summarizePlan } from '../../terraform/plan.ts';
import type { Job } from '../job.ts';
import { createJob } from './job.ts';

/** The key of the cloud's nodes. */
export const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgXOsdfj0wRL7+ih9Q/34hXBgWvYDlbe5W7+D5MMpj team';
const ROOT = join(import.meta.dirname, '../../..');

/** Terraform with the action's templates, in a cloud without machines, and a job that works on them. */
export class Cloud {
  readonly folder: string;
  readonly aws: Aws;
  readonly terraform: Terraform;
  readonly job: Job;

  private constructor(parts: Pick<Cloud, 'folder' | 'aws' | 'terraform' | 'job'>) {
    ({ folder: this.folder, aws: this.aws, terraform: this.terraform, job: this.job } = parts);
  }

  /** Opens a cloud; `world` names it, `cluster` is the name of the cluster. */
  static async open(world: string, { cluster = 'orders' } = {}): Promise<Cloud> {
    const folder = mkdtempSync(join(tmpdir(), `${world}-`));
    const directory = join(folder, 'work');
    mkdirSync(directory);
    cpSync(join(ROOT, 'templates/aws'), directory, { recursive: true });
    const aws = await startAws({ world, instances: 'none', directory: join(folder, 'aws') });
    const terraform = new Terraform({
      binary: 'terraform',
      directory,
      environment: { PATH: reachAws({ folder, reattach: aws.reattach }) },
      log: () => {},
    });
    const job = createJob({
      ...{ folder, actionRoot: ROOT, workspace: { directory } },
      keys: { current: PUBLIC_KEY, retired: [] },
      inputs: { spec: { name: cluster, region: 'us-east-1' } },
    });
    return new Cloud({ folder, aws, terraform, job });
  }

  /** Terraform's directory. */
  get directory(): string {
    return this.job.workspace.directory;
  }

  /** Writes the values of Terraform's variables; those of the cluster and its key are added. */
  write(values: object): void {
    const { name, region } = this.job.inputs.spec;
    const given = { cluster_name: name, region, ssh_public_key: PUBLIC_KEY };
    const file = join(this.directory, 'terraform.tfvars.json');
    writeFileSync(file, JSON.stringify({ ...given, ...values }));
  }

  /** Plans what was written. */
  async plan(): Promise<{ planFile: string; summary: PlanSummary }> {
    const planFile = join(this.folder, 'cloud.tfplan');
    await this.terraform.plan(planFile, { publicKey: null, lock: true });
    const document: unknown = JSON.parse(await this.terraform.showJson(planFile));
    return { planFile, summary: summarizePlan(document) };
  }

  /** Plans what was written, and applies it as a merge without a label. */
  async apply(): Promise<void> {
    const permitted = permit(await this.plan(), { kind: 'plan', label: null, labels: null });
    await this.terraform.apply(permitted, { temporary: this.folder, announce: () => {} });
  }

  /** Ids of the data volumes. */
  listVolumes(): string[] {
    const volumes = Object.values(this.aws.tables.volumes).filter(({ root }) => !root);
    return volumes.map(({ id }) => id).sort();
  }

  /** Removes everything. */
  async close(): Promise<void> {
    await this.aws.destroyEverything();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
