import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePairs } from './file-command.ts';
import type { JobLog, StepRecord } from './job-log.ts';

/** The files of a step, by their variable (GITHUB_OUTPUT …). */
const fileCommands = ['output', 'env', 'path', 'state', 'step_summary'] as const;

/** The paths of a step's files. */
export type StepFiles = Record<(typeof fileCommands)[number], string>;

/** What steps leave for later steps. */
export interface Legacy {
  readonly env: Map<string, string>;
  /** Directories before PATH, the first one first. */
  readonly path: string[];
  /** One text per step. */
  readonly summaries: string[];
}

/** The size limit of one step's summary, in bytes; GitHub refuses longer ones. */
const summaryLimit = 1024 * 1024;

/** Whether GitHub shows a step's summary. */
export function isShown(summary: string): boolean {
  return Buffer.byteLength(summary) <= summaryLimit;
}

/** Creates the empty files of a step. */
export function makeStepFiles(folder: string): StepFiles {
  const suffix = randomUUID();
  const entries = fileCommands.map((command) => {
    const path = join(folder, `${command}_${suffix}`);
    writeFileSync(path, '');
    return [command, path] as const;
  });
  return Object.fromEntries(entries) as StepFiles;
}

/**
 * Reads what a step wrote to its files, also after a failure or a cancel. An invalid
 * file fails the step.
 */
export function takeStepFiles(parts: {
  files: StepFiles;
  log: JobLog;
  record: StepRecord;
  legacy: Legacy;
}): void {
  const { files, log, record, legacy } = parts;
  const take: Record<keyof StepFiles, (text: string) => void> = {
    output: (text) => {
      for (const [name, value] of parsePairs(text)) record.outputs.set(name, value);
    },
    state: (text) => {
      for (const [name, value] of parsePairs(text)) record.state.set(name, value);
    },
    env: (text) => {
      for (const [name, value] of parsePairs(text)) {
        if (name.toUpperCase() !== 'NODE_OPTIONS') legacy.env.set(name, value);
        else {
          log.annotate(
            'error',
            "Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command.",
          );
        }
      }
    },
    path: (text) => {
      for (const line of text.split(/\r?\n/)) {
        if (line === '') continue;
        const old = legacy.path.indexOf(line);
        if (old >= 0) legacy.path.splice(old, 1);
        legacy.path.unshift(line);
      }
    },
    step_summary: (text) => {
      legacy.summaries.push(text);
      if (isShown(text)) return;
      const kib = Math.floor(Buffer.byteLength(text) / 1024);
      log.annotate(
        'error',
        `$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of ${summaryLimit / 1024}k, got ${kib}k.`,
      );
    },
  };
  for (const command of fileCommands) {
    // An action may delete its file, which then counts as empty.
    const text = existsSync(files[command]) ? readFileSync(files[command], 'utf8') : '';
    try {
      take[command](text);
    } catch (error) {
      log.fail([
        `Unable to process file command '${command}' successfully.`,
        (error as Error).message,
      ]);
    }
  }
}
