import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as core from '@actions/core';
import type { Node } from '../cluster/configuration.ts';
import { UserError } from '../errors.ts';
import { apply } from '../operations/apply.ts';
import type { Infrastructure } from '../operations/infrastructure.ts';
import type { PlanResult } from '../operations/plan.ts';
import { writeResult } from '../operations/result.ts';
import type { Outliving } from '../process.ts';
import type { Stage, Terraform } from '../terraform/cli.ts';
import { readNodes } from '../terraform/outputs.ts';
import { type PlanSummary, summarizePlan } from '../terraform/plan.ts';
import {
  describeNodes,
  findBeyondReplacement,
  findBeyondReview,
  hasWorkBesidesDeferred,
  instanceAddress,
  keepNodes,
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
  readonly #reviewed: PlanResult;
  #standing: readonly Node[];
  readonly #resized: string[] = [];

  constructor(
    job: Job,
    options: { terraform: Terraform; reviewed: PlanResult; standing: readonly Node[] },
  ) {
    this.#job = job;
    this.#terraform = options.terraform;
    this.#reviewed = options.reviewed;
    this.#standing = options.standing;
  }

  /** Everything that needs no order; gives the nodes that stand afterwards. */
  async provision(): Promise<readonly Node[]> {
    const { summary } = this.#reviewed;
    const { resize, destroy } = describeNodes(summary);
    if (resize.length === 0 && destroy.length === 0) {
      await logGroup('Apply', () =>
        apply(this.#terraform, {
          directory: this.#job.workspace.directory,
          plan: this.#reviewed,
          outlives: this.#outlives,
        }),
      );
    } else if (hasWorkBesidesDeferred(summary)) {
      await this.#applyStage('Apply what needs no order', this.#keep());
    }
    return this.#finish();
  }

  async resize(node: string): Promise<readonly Node[]> {
    this.#resized.push(node);
    await this.#applyStage(`Change the instance type of ${node}`, this.#keep());
    return this.#finish();
  }

  async destroy(): Promise<readonly Node[]> {
    await this.#applyStage('Remove the nodes that left', undefined);
    return this.#finish();
  }

  async replace(node: string): Promise<readonly Node[]> {
    const stage = { ...this.#keep(), replace: [instanceAddress(node)] };
    await this.#applyStage(`Replace the instance of ${node}`, stage, (planned) =>
      findBeyondReplacement(planned, node),
    );
    return this.#finish();
  }

  #keep(): Stage {
    const { summary } = this.#reviewed;
    return keepNodes(summary, { standing: this.#standing, resized: this.#resized });
  }

  async #applyStage(
    title: string,
    stage: Stage | undefined,
    findBeyond = (planned: PlanSummary) => findBeyondReview(planned, this.#reviewed.summary),
  ): Promise<void> {
    const { workspace, keys } = this.#job;
    const terraform = this.#terraform;
    const planFile = join(workspace.temporary, `${randomUUID()}.tfplan`);
    await logGroup(title, async () => {
      await terraform.plan(planFile, {
        publicKey: keys?.current ?? null,
        lock: true,
        ...(stage && { stage }),
      });
      const planned = summarizePlan(JSON.parse(await terraform.showJson(planFile)));
      const beyond = findBeyond(planned);
      if (beyond.length > 0) {
        throw new UserError([
          `${title}: the plan of this stage is not a part of what was planned, so it was not applied. Run the job again: it plans anew.`,
          ...beyond,
        ]);
      }
      if (planned.hasChanges) await terraform.apply(planFile, this.#outlives);
    });
  }

  get #outlives(): Outliving {
    return { temporary: this.#job.workspace.temporary, announce: rememberChild };
  }

  /** The result is that of the whole plan, whichever stage was the last. */
  async #finish(): Promise<readonly Node[]> {
    const { directory } = this.#job.workspace;
    const { summary, digest } = this.#reviewed;
    const outputs = await this.#terraform.outputs();
    const result = { counts: summary.counts, planDigest: digest, outputs };
    core.setOutput('apply-json', await writeResult(directory, 'apply', result));
    this.#standing = readNodes(outputs, { directory, spec: this.#job.request.spec });
    return this.#standing;
  }
}
