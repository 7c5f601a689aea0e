import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as core from '@actions/core';
import type { Node } from '../cluster/configuration.ts';
import { UserError } from '../errors.ts';
import { apply } from '../operations/apply.ts';
import type { Infrastructure } from '../operations/infrastructure.ts';
import { writeResult } from '../operations/result.ts';
import type { Outliving } from '../process.ts';
import type { Terraform } from '../terraform/cli.ts';
import { readNodes } from '../terraform/outputs.ts';
import { type PlanSummary, summarizePlan } from '../terraform/plan.ts';
import { type Ground, type Permit, permit, refuse } from '../terraform/protection.ts';
import {
  attachmentAddress,
  describeNodes,
  instanceAddress,
  keepNodes,
  nodeNumber,
  type Stage,
  volumeAddress,
} from '../terraform/stage.ts';
import { rememberChild } from './afterwards.ts';
import type { Job } from './job.ts';
import { logGroup } from './log-group.ts';

/**
 * The reviewed plan, applied in stages: Terraform alone would change all instances at the same time. Each
 * stage is a plan of its own and must be a part of the reviewed one.
 */
export class Stages implements Infrastructure {
  readonly #job: Job;
  readonly #terraform: Terraform;
  /** The whole plan. */
  readonly #whole: Permit;
  readonly #digest: string;
  #standing: readonly Node[];
  readonly #resized: string[] = [];

  constructor(
    job: Job,
    options: {
      terraform: Terraform;
      /** The whole plan. */
      permitted: Permit;
      /** Of the whole plan. */
      digest: string;
      standing: readonly Node[];
    },
  ) {
    this.#job = job;
    this.#terraform = options.terraform;
    this.#whole = options.permitted;
    this.#digest = options.digest;
    this.#standing = options.standing;
  }

  /** Applies everything that needs no order, and returns the nodes that exist afterwards. */
  async provision(): Promise<readonly Node[]> {
    const { summary } = this.#whole;
    const { resize, destroy } = describeNodes(summary);
    if (resize.length === 0 && destroy.length === 0) {
      const { outputs, jsonFile } = await logGroup('Apply', () =>
        apply(this.#terraform, {
          directory: this.#job.workspace.directory,
          permitted: this.#whole,
          digest: this.#digest,
          outlives: nameHeirs(this.#job),
        }),
      );
      return this.#adopt(outputs, jsonFile);
    }
    // Also where nothing else is to be done: the state learns of what changed outside Terraform.
    await this.#applyStage('Apply what needs no order', this.#keep());
    return this.#finish();
  }

  async resize(node: string): Promise<readonly Node[]> {
    this.#resized.push(node);
    await this.#applyStage(`Change the instance type of ${node}`, this.#keep());
    return this.#finish();
  }

  async destroy(): Promise<readonly Node[]> {
    await this.#applyStage('Remove the nodes that left', undefined, (planned) =>
      describeNodes(planned).resize.map(
        ({ node, from, to }) => `${node} would become ${to} instead of ${from} at the same time.`,
      ),
    );
    return this.#finish();
  }

  async halt(node: string): Promise<never> {
    throw new Error(`${node} is halted by a failover alone`);
  }

  async replace(node: string): Promise<readonly Node[]> {
    return replaceInstance(this.#job, this.#terraform, node);
  }

  #keep(): Stage {
    const { summary } = this.#whole;
    return keepNodes(summary, { standing: this.#standing, resized: this.#resized });
  }

  #applyStage(
    title: string,
    stage: Stage | undefined,
    findMore?: (planned: PlanSummary) => string[],
  ): Promise<void> {
    return applyStage(this.#job, this.#terraform, {
      title,
      stage,
      ground: { kind: 'stage', whole: this.#whole },
      ...(findMore && { findMore }),
    });
  }

  /** The result is that of the whole plan, whichever stage was the last. */
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
    this.#standing = readNodes(outputs, { directory, spec: this.#job.request.spec });
    return this.#standing;
  }
}

/**
 * Another instance for one node, whatever else is planned; its data volume stays, unless `volume` asks for a blank one.
 * Returns the nodes that exist afterwards.
 *
 * @throws UserError with Terraform's words, or what the plan would do besides
 */
export async function replaceInstance(
  job: Job,
  terraform: Terraform,
  node: string,
  { volume = false } = {},
): Promise<readonly Node[]> {
  const volumes = volume ? [volumeAddress(node)] : [];
  const instance = instanceAddress(node);
  const stage: Stage = {
    // The variables of the whole cluster are of no account to this one node, but its type is.
    instanceTypes: await readInstanceTypes(job, terraform),
    keptNodeCount: 0,
    replace: [instance, ...volumes],
    only: [instance, attachmentAddress(node), ...volumes],
  };
  await applyStage(job, terraform, {
    title: `Replace the instance ${volume ? 'and the data volume ' : ''}of ${node}`,
    stage,
    ground: { kind: 'replacement', node, volume },
  });
  const { directory } = job.workspace;
  return readNodes(await terraform.outputs(), { directory, spec: job.request.spec });
}

async function readInstanceTypes(job: Job, terraform: Terraform): Promise<Record<string, string>> {
  const { directory } = job.workspace;
  const nodes = readNodes(await terraform.outputs(), { directory, spec: job.request.spec });
  return Object.fromEntries(
    nodes.map(({ name, instanceType }) => [nodeNumber(name), instanceType]),
  );
}

/** Plans a stage, holds it to what it may do, and applies it. */
async function applyStage(
  job: Job,
  terraform: Terraform,
  options: {
    title: string;
    stage: Stage | undefined;
    ground: Ground;
    /** What else the stage would do that it must not. */
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
    const beyond = [...refuse(summary, ground), ...findMore(summary)];
    if (beyond.length > 0) {
      throw new UserError([
        `${title}: the plan of this stage does more than it may, so it was not applied. If something changed outside Terraform meanwhile, run the job again: it plans anew.`,
        ...beyond,
      ]);
    }
    if (summary.hasChanges) {
      await terraform.apply(permit({ planFile, summary }, ground), nameHeirs(job));
    }
  });
}

/** An apply that is under way outlives a kill of this process; the post step waits for it. */
function nameHeirs(job: Job): Outliving {
  return { temporary: job.workspace.temporary, announce: rememberChild };
}
