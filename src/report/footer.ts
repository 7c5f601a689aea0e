import { renderCode, renderLink } from './markdown.ts';

/** The program that plans and applies. */
export interface Tool {
  readonly product: 'Terraform' | 'OpenTofu';
  /** e.g. `1.11.4`. */
  readonly version: string;
}

/** The run that made a report. */
export interface RunInfo {
  /** Full SHA of the commit that was planned or deployed. */
  readonly commit: string;
  /** Address of the workflow run, with the log and the job summary. */
  readonly url: string;
  readonly time: Date;
  /** The version of this action that the workflow names, e.g. `v1`; null for one in the repository itself. */
  readonly action: string | null;
  /** Address of the folder `docs` of this action, at the version that runs; null for one in the repository itself. */
  readonly docs: string | null;
  /** The program that plans and applies; null before its version is known. */
  readonly tool: Tool | null;
  /** Hex digest of the plan; null before the plan. */
  readonly planDigest: string | null;
}

/** Renders the last line of a report: commit, plan, run, versions, time. */
export function renderFooter(run: RunInfo): string {
  const parts = [
    `commit ${renderCode(run.commit.slice(0, 7))}`,
    ...(run.planDigest === null ? [] : [`plan ${renderCode(run.planDigest.slice(0, 12))}`]),
    renderLink('run', run.url),
    ...(run.tool === null ? [] : [`${run.tool.product} ${renderCode(run.tool.version)}`]),
    ...(run.action === null ? [] : [`action ${renderCode(run.action)}`]),
    `${run.time.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
  ];
  return `<sub>${parts.join(' · ')}</sub>`;
}
