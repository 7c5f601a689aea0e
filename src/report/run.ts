import { renderCode, renderLink } from './markdown.ts';

/** Where a report comes from. */
export interface RunInfo {
  /** Full SHA of the commit that was planned or deployed. */
  readonly commit: string;
  /** Address of the workflow run, where the log and the job summary are. */
  readonly url: string;
  readonly time: Date;
  /** e.g. `1.11.4`; null before Terraform was asked. */
  readonly terraformVersion: string | null;
  /** Hex digest of the plan; null before there is one. */
  readonly planDigest: string | null;
}

/** The last line of a report: commit, plan, run, versions, time. */
export function renderFooter(run: RunInfo): string {
  const parts = [
    `commit ${renderCode(run.commit.slice(0, 7))}`,
    ...(run.planDigest === null ? [] : [`plan ${renderCode(run.planDigest.slice(0, 12))}`]),
    renderLink('run', run.url),
    ...(run.terraformVersion === null ? [] : [`Terraform ${renderCode(run.terraformVersion)}`]),
    `${run.time.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
  ];
  return `<sub>${parts.join(' · ')}</sub>`;
}
