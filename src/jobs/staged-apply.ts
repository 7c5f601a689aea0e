import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as core from '@actions/core';
import { type Node, nodeNumber } from '../cluster/node.ts';
import { UserError } from '../messages/errors.ts';
import { apply } from '../operations/apply.ts';
import type { Infrastructure } from '../operations/infrastructure.ts';
import { writeResult } from '../operations/result.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import {
  attachmentAddress,
  buildNodeChanges,
  buildStageOverrides,
  dnsRecordAddress,
  instanceAddress,
  type NodeChanges,
  type PlanOverrides,
  volumeAddress,
} from '../terraform/node-changes.ts';
import { hasChangesBeforeOrder, touchesResources } from '../terraform/ordered-changes.ts';
import { readNodes, readState } from '../terraform/outputs.ts';
import { type ApplyScope, explainApplyRefusal, type Permit, permit } from '../terraform/permit.ts';
import { type PlanSummary, summarizePlan } from '../terraform/plan.ts';
import { discardBlankVolumes } from './blank-volumes.ts';
import type { Job } from './job.ts';
import { survivorOptions } from './post-state.ts';
import { withStopAdvice } from './stop-advice.ts';

/**
 * Applies the reviewed plan in stages, because Terraform alone would change all instances at the same time. Each stage has
 * its own plan, which must be a part of the reviewed one.
 */
export class StagedApply implements Infrastructure {
  readonly #job: Job;
  readonly #terraform: Terraform;
  /** The whole plan. */
  readonly #whole: Permit;
  readonly #digest: string;
  /** What the whole plan does to the nodes. */
  readonly #changes: NodeChanges;
  #existing: readonly Node[];
  #endpointId: string | null = null;
  /** Nodes whose stopped instance is started before any work on the databases. */
  readonly #stopped: readonly Node[];
  readonly #resized: string[] = [];
  /** The outputs after the whole apply, as far as the plan knows them. */
  readonly #outputs: unknown;
  #hasTouched = false;

  constructor(
    job: Job,
    options: {
      terraform: Terraform;
      /** The whole plan. */
      permitted: Permit;
      /** The whole plan's digest. */
      digest: string;
      /** The outputs after the whole apply, as far as the plan knows them. */
      outputs: unknown;
      /** The EC2 Instance Connect Endpoint in the state; null or missing: connections are direct. */
      endpointId?: string | null;
      existing: readonly Node[];
      /** Nodes that stay and whose instance is stopped. */
      stopped?: readonly Node[];
    },
  ) {
    this.#job = job;
    this.#terraform = options.terraform;
    this.#whole = options.permitted;
    this.#digest = options.digest;
    this.#changes = buildNodeChanges(options.permitted.summary);
    this.#outputs = options.outputs;
    this.#endpointId = options.endpointId ?? null;
    this.#existing = options.existing;
    this.#stopped = options.stopped ?? [];
  }

  /** Whether anything besides the state may have changed since the plan. */
  get hasTouched(): boolean {
    return this.#hasTouched;
  }

  /** The EC2 Instance Connect Endpoint that the nodes have now; null: connections are direct. */
  get endpointId(): string | null {
    return this.#endpointId;
  }

  /**
   * Applies everything that needs no order and starts stopped instances, with their new type. Returns the nodes that exist
   * afterwards.
   *
   * @throws UserError with Terraform's messages, and with the ways out if an instance could not be started
   */
  async provision(): Promise<readonly Node[]> {
    const [terraform, { summary }] = [this.#terraform, this.#whole];
    const nodes = await discardBlankVolumes(this.#job, { terraform, summary }, () =>
      this.#provision(),
    );
    return this.#stopped.length === 0 ? nodes : this.#start();
  }

  async #provision(): Promise<readonly Node[]> {
    const { resize, destroy } = this.#changes;
    if (resize.length === 0 && destroy.length === 0) {
      this.#hasTouched = touchesResources(this.#whole.summary);
      const { outputs, jsonFile } = await logGroup('Apply', () =>
        apply(this.#terraform, {
          directory: this.#job.workspace.directory,
          permitted: this.#whole,
          digest: this.#digest,
          planned: this.#outputs,
          outlives: survivorOptions(this.#job.workspace),
        }),
      );
      return this.#adopt(outputs, jsonFile);
    }
    if (!hasChangesBeforeOrder(this.#whole.summary)) return this.#existing;
    await this.#applyStage('Apply what needs no order', this.#keep());
    return this.#finish();
  }

  async resize(node: string): Promise<readonly Node[]> {
    await this.#resize([node]);
    return this.#finish();
  }

  /** Starts the stopped instances. Terraform starts an instance whose type it changes; the others need a stage. */
  async #start(): Promise<readonly Node[]> {
    const changing = this.#changes.resize.map(({ node }) => node);
    const names = this.#stopped.map(({ name }) => name);
    const resized = names.filter((name) => changing.includes(name));
    if (resized.length > 0) await this.#resize(resized);
    const others = names.filter((name) => !changing.includes(name));
    if (others.length === 0) return this.#finish();
    const started = others.map(nodeNumber);
    await withStopAdvice(others, () =>
      this.#applyStage(
        `Start the instance of ${others.join(', ')}`,
        { ...this.#keep(), started },
        { starts: others },
      ),
    );
    await this.#applyStage(`Read the addresses of ${others.join(', ')}`, this.#keep());
    return this.#finish();
  }

  async #resize(nodes: readonly string[]): Promise<void> {
    this.#resized.push(...nodes);
    const title = `Change the instance type of ${nodes.join(', ')}`;
    await withStopAdvice(nodes, () => this.#applyStage(title, this.#keep()));
  }

  async destroy(): Promise<readonly Node[]> {
    await this.#applyStage('Remove the nodes that left', undefined, {
      findMore: (planned) =>
        buildNodeChanges(planned).resize.map(
          ({ node, from, to }) => `${node} would become ${to} instead of ${from} at the same time.`,
        ),
    });
    return this.#finish();
  }

  async halt(node: string): Promise<never> {
    throw new Error(`only a failover halts ${node}`);
  }

  async replace(node: string): Promise<readonly Node[]> {
    return replaceInstance(this.#job, this.#terraform, node);
  }

  #keep(): PlanOverrides {
    const { summary } = this.#whole;
    return buildStageOverrides(summary, { existing: this.#existing, resized: this.#resized });
  }

  async #applyStage(
    title: string,
    stage: PlanOverrides | undefined,
    options: {
      /** Nodes whose stopped instance the stage starts. */
      starts?: readonly string[];
      findMore?: (planned: PlanSummary) => string[];
    } = {},
  ): Promise<void> {
    const { starts = [], findMore } = options;
    // Also if it fails: it may have been applied in part.
    this.#hasTouched = true;
    await applyStage(this.#job, this.#terraform, {
      title,
      stage,
      ground: { kind: 'stage', whole: this.#whole, starts },
      ...(findMore && { findMore }),
    });
  }

  /** Writes the result of the whole plan, whichever stage was the last. */
  async #finish(): Promise<readonly Node[]> {
    const { directory } = this.#job.workspace;
    const outputs = await this.#terraform.outputs();
    const { counts } = this.#whole.summary;
    const result = { counts, planDigest: this.#digest, outputs };
    return this.#adopt(outputs, await writeResult(directory, 'apply', result));
  }

  #adopt(outputs: unknown, jsonFile: string): readonly Node[] {
    const { directory } = this.#job.workspace;
    core.setOutput('apply-json', jsonFile);
    this.#endpointId = readState(outputs)?.endpointId ?? null;
    this.#existing = readNodes(outputs, { directory, spec: this.#job.inputs.spec });
    return this.#existing;
  }
}

/**
 * Replaces the instance of one node and nothing else. The data volume is kept, unless `volume` requests a blank one.
 * Returns the nodes that exist afterwards.
 *
 * @throws UserError with Terraform's messages, or with what else the plan would do
 */
export async function replaceInstance(
  job: Job,
  terraform: Terraform,
  node: string,
  { volume = false } = {},
): Promise<readonly Node[]> {
  const volumes = volume ? [volumeAddress(node)] : [];
  const instance = instanceAddress(node);
  const stage: PlanOverrides = {
    // Of the cluster's variables only the instance type concerns this node.
    instanceTypes: await readInstanceTypes(job, terraform),
    keptNodes: [],
    replace: [instance, ...volumes],
    only: [instance, attachmentAddress(node), dnsRecordAddress(node), ...volumes],
  };
  await applyStage(job, terraform, {
    title: `Replace the instance ${volume ? 'and the data volume ' : ''}of ${node}`,
    stage,
    ground: { kind: 'replacement', node, volume },
  });
  const { directory } = job.workspace;
  return readNodes(await terraform.outputs(), { directory, spec: job.inputs.spec });
}

async function readInstanceTypes(job: Job, terraform: Terraform): Promise<Record<string, string>> {
  const { directory } = job.workspace;
  const nodes = readNodes(await terraform.outputs(), { directory, spec: job.inputs.spec });
  return Object.fromEntries(
    nodes.map(({ name, instanceType }) => [nodeNumber(name), instanceType]),
  );
}

/** Plans a stage, refuses it if it does more than it may, and applies it. */
async function applyStage(
  job: Job,
  terraform: Terraform,
  options: {
    title: string;
    stage: PlanOverrides | undefined;
    ground: ApplyScope;
    /** Finds further changes that the stage must not make. */
    findMore?: (planned: PlanSummary) => string[];
  },
): Promise<void> {
  const { title, stage, ground, findMore = () => [] } = options;
  const { workspace, keys } = job;
  const planFile = join(workspace.temporary, `${randomUUID()}.tfplan`);
  await logGroup(title, async () => {
    await terraform.plan(planFile, {
      publicKey: keys?.current ?? null,
      lock: true,
      ...(stage && { stage }),
    });
    const summary = summarizePlan(JSON.parse(await terraform.showJson(planFile)));
    const beyond = [...explainApplyRefusal(summary, ground), ...findMore(summary)];
    if (beyond.length > 0) {
      throw new UserError([
        `${title}: the plan of this stage does more than it may, so it was not applied. If something changed outside Terraform meanwhile, run the job again: it makes a new plan.`,
        ...beyond,
      ]);
    }
    if (summary.hasChanges) {
      await terraform.apply(permit({ planFile, summary }, ground), survivorOptions(workspace));
    }
  });
}
