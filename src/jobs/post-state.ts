import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as core from '@actions/core';
import type { IssueRef } from '../github/issue.ts';
import type { CommentRef } from '../github/sticky-comment.ts';
import { readMessage } from '../messages/errors.ts';
import type { SurvivorOptions } from '../process/child-process.ts';
import type { Survivor } from '../process/survivor.ts';
import type { DeployReport } from '../report/deploy-report.ts';
import type { OpenCheck } from '../review/deploy-check.ts';
import type { Workspace } from '../runner/workspace.ts';
import type { TerraformSetup } from '../terraform/cli.ts';
import type { ReportText } from './announcement.ts';

// The state that `main` leaves for `post`. Short values are in the runner's state, which survives a kill of the main
// process but is passed in environment variables of at most 128 KiB each; reports are in files.

const WORKSPACES = 'workspaces';
const COMMENT = 'comment';
const CHILD = 'child';
const CHECK = 'check';
const TERRAFORM = 'terraform';
const PROGRESS_FILE = 'progress.json';
const UNDELIVERED_FILE = 'undelivered.json';
const REMARK_FILE = 'remark.json';

/** What is to be said in an issue if the job ends before it says so itself. Texts without secrets. */
export type Remark = IssueRef & { readonly title: string; readonly body: string };

/** The folders of a workspace that do not outlive the job. */
type Folders = Pick<Workspace, 'temporary' | 'directory'>;

/** Where reports are kept. */
let folder: string | null = null;

/**
 * Saves the folders with keys, plan files and results, which `post` removes in any case: the job's own, which keeps the
 * reports, and those of a rehearsal.
 */
export function saveWorkspaces(own: Folders, ...others: readonly Folders[]): void {
  folder = own.temporary;
  const folders = [own, ...others].map(({ temporary, directory }) => ({ temporary, directory }));
  core.saveState(WORKSPACES, JSON.stringify(folders));
}

/** Saves where the comment is. */
export function saveComment(comment: CommentRef): void {
  core.saveState(COMMENT, JSON.stringify(comment));
}

/** Saves the check run of a deploy in progress; null once it shows how the deploy ended. */
export function saveCheck(check: OpenCheck | null): void {
  core.saveState(CHECK, JSON.stringify(check));
}

/** Saves the child to wait for before anything is removed; null once it has ended. */
function saveChild(child: Survivor | null): void {
  core.saveState(CHILD, JSON.stringify(child));
}

/** Returns the options of a child that `post` waits for if this process is killed first. */
export function survivorOptions({ temporary }: Pick<Workspace, 'temporary'>): SurvivorOptions {
  return { temporary, announce: saveChild };
}

/** Saves the Terraform setup whose apply may leave an unsaved state. */
export function saveTerraform(setup: TerraformSetup): void {
  core.saveState(TERRAFORM, JSON.stringify(setup));
}

/** Saves the report to publish if the job is killed now. Requires `saveWorkspaces`. */
export function saveProgress(report: DeployReport): void {
  writeRecord(PROGRESS_FILE, report);
}

/**
 * Records the job's last report: null once it is published, else `post` publishes it, because GitHub failed to accept it or
 * the job was killed meanwhile.
 */
export function saveEnd({ undelivered }: { undelivered: ReportText | null }): void {
  if (undelivered !== null) writeRecord(UNDELIVERED_FILE, undelivered);
  else rmSync(recordPath(UNDELIVERED_FILE), { force: true });
  rmSync(recordPath(PROGRESS_FILE), { force: true });
}

/** Saves what `post` says in an issue; null once there is nothing to say. Requires `saveWorkspaces`. */
export function saveRemark(remark: Remark | null): void {
  if (remark !== null) writeRecord(REMARK_FILE, remark);
  else rmSync(recordPath(REMARK_FILE), { force: true });
}

function recordPath(name: string): string {
  if (folder === null) throw new Error(`${name} is written before saveWorkspaces()`);
  return join(folder, name);
}

function writeRecord(name: string, record: unknown): void {
  const path = recordPath(name);
  // Atomic: a kill must not leave half a record.
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** The state that `main` left. */
export interface PostState {
  /** In the order in which they were saved. */
  readonly workspaces: readonly Folders[];
  readonly comment: CommentRef | null;
  readonly progress: DeployReport | null;
  readonly undelivered: ReportText | null;
  readonly remark: Remark | null;
  readonly child: Survivor | null;
  readonly check: OpenCheck | null;
  readonly terraform: TerraformSetup | null;
}

/** Loads the state in `post`. */
export function loadPostState(): PostState {
  const saved = JSON.parse(core.getState(WORKSPACES) || '[]') as Folders[];
  const temporary = saved[0]?.temporary ?? null;
  return {
    workspaces: saved,
    comment: JSON.parse(core.getState(COMMENT) || 'null') as CommentRef | null,
    progress: temporary === null ? null : readProgress(temporary),
    undelivered:
      temporary === null ? null : readRecord<ReportText>(join(temporary, UNDELIVERED_FILE)),
    remark: temporary === null ? null : readRecord<Remark>(join(temporary, REMARK_FILE)),
    child: JSON.parse(core.getState(CHILD) || 'null') as Survivor | null,
    check: JSON.parse(core.getState(CHECK) || 'null') as OpenCheck | null,
    terraform: JSON.parse(core.getState(TERRAFORM) || 'null') as TerraformSetup | null,
  };
}

function readProgress(temporary: string): DeployReport | null {
  const progress = readRecord<DeployReport>(join(temporary, PROGRESS_FILE));
  // JSON has dates as text.
  return progress && { ...progress, run: { ...progress.run, time: new Date() } };
}

function readRecord<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      // The clean-up of keys must not depend on a report.
      core.warning(`After the job: ${path} cannot be read (${readMessage(error)}).`);
    }
    return null;
  }
}
