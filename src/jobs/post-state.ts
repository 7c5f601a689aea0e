import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as core from '@actions/core';
import type { CommentRef } from '../github/sticky-comment.ts';
import type { Survivor } from '../process/survivor.ts';
import type { DeployReport } from '../report/deploy-comment.ts';
import type { Workspace } from '../runner/workspace.ts';
import type { TerraformSetup } from '../terraform/cli.ts';
import type { ReportText } from './announcement.ts';

// What `main` leaves for `post`: short things in the runner's state, which outlives a kill of the main
// process but travels in environment variables, of which none may exceed 128 KiB; the report in a file.

const TEMPORARY = 'temporary';
const DIRECTORY = 'directory';
const COMMENT = 'comment-place';
const CHILD = 'child';
const CHECK = 'check';
const TERRAFORM = 'terraform';
const PROGRESS_FILE = 'progress.json';
const UNDELIVERED_FILE = 'unsaid.json';

let folder: string | null = null;

/** The folders with keys, plan files and results, to be removed whatever happens. */
export function saveWorkspace(workspace: Pick<Workspace, 'temporary' | 'directory'>): void {
  folder = workspace.temporary;
  core.saveState(TEMPORARY, workspace.temporary);
  core.saveState(DIRECTORY, workspace.directory);
}

/** Where the comment is. */
export function saveComment(place: CommentRef): void {
  core.saveState(COMMENT, JSON.stringify(place));
}

/** The check run that says that a deploy is under way; null once it says how that ended. */
export function saveCheck(check: OpenCheck | null): void {
  core.saveState(CHECK, JSON.stringify(check));
}

/** The child to wait for before anything is removed; null once it has ended. */
export function saveChild(child: Survivor | null): void {
  core.saveState(CHILD, JSON.stringify(child));
}

/** The Terraform whose apply may leave a state that is not saved. */
export function saveTerraform(setup: TerraformSetup): void {
  core.saveState(TERRAFORM, JSON.stringify(setup));
}

/**
 * The report to publish if the job ends without another word. The temporary folder must be known by then.
 */
export function saveProgress(report: DeployReport): void {
  writeRecord(PROGRESS_FILE, report);
}

/** The job has spoken its last words; `undelivered`: they still have to be brought to GitHub, which failed to take them. */
export function saveEnd({ undelivered }: { undelivered: ReportText | null }): void {
  if (undelivered !== null) writeRecord(UNDELIVERED_FILE, undelivered);
  rmSync(recordPath(PROGRESS_FILE), { force: true });
}

function recordPath(name: string): string {
  if (folder === null) throw new Error(`${name} is to be written before rememberWorkspace()`);
  return join(folder, name);
}

function writeRecord(name: string, record: unknown): void {
  const path = recordPath(name);
  // A kill must not leave half a record.
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** A check run that has to be completed. */
export interface OpenCheck {
  readonly id: number;
  readonly name: string;
  readonly externalId: string;
}

/** What `main` left behind. */
export interface PostState {
  readonly temporary: string | null;
  /** Terraform's directory. */
  readonly directory: string | null;
  readonly comment: CommentRef | null;
  readonly progress: DeployReport | null;
  readonly undelivered: ReportText | null;
  readonly child: Survivor | null;
  readonly check: OpenCheck | null;
  readonly terraform: TerraformSetup | null;
}

/** Reads it back in `post`. */
export function loadPostState(): PostState {
  const temporary = core.getState(TEMPORARY) || null;
  return {
    temporary,
    directory: core.getState(DIRECTORY) || null,
    comment: JSON.parse(core.getState(COMMENT) || 'null') as CommentRef | null,
    progress: temporary === null ? null : readProgress(temporary),
    undelivered:
      temporary === null ? null : readRecord<ReportText>(join(temporary, UNDELIVERED_FILE)),
    child: JSON.parse(core.getState(CHILD) || 'null') as Survivor | null,
    check: JSON.parse(core.getState(CHECK) || 'null') as OpenCheck | null,
    terraform: JSON.parse(core.getState(TERRAFORM) || 'null') as TerraformSetup | null,
  };
}

function readProgress(temporary: string): DeployReport | null {
  const progress = readRecord<DeployReport>(join(temporary, PROGRESS_FILE));
  // Dates travel as text.
  return progress && { ...progress, run: { ...progress.run, time: new Date() } };
}

function readRecord<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
