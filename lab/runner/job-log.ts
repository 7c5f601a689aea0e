import { isAbsolute, relative } from 'node:path';
import type { Command } from './command.ts';
import { isCommandName, parseCommand } from './command.ts';
import type { Masker } from './mask.ts';

/** A message that GitHub shows on the run's page and, with a file, in the diff. */
export interface Annotation {
  readonly level: 'error' | 'warning' | 'notice';
  /** At most 4096 characters, masked. */
  readonly message: string;
  /** file, line, endLine, col, endColumn, title: as in the command. */
  readonly properties: Readonly<Record<string, string>>;
}

/** The results of one step's output. */
export interface StepRecord {
  readonly annotations: Annotation[];
  readonly outputs: Map<string, string>;
  readonly state: Map<string, string>;
  /** Whether a command failed, which fails the step. */
  failed: boolean;
}

/** The destination and the settings of a log. */
export interface JobLogParts {
  readonly masker: Masker;
  readonly workspace: string;
  /** Whether `::debug::` lines are shown. */
  readonly debug: boolean;
  readonly onLine: ((line: string) => void) | undefined;
}

/** The number of annotations that GitHub keeps per level and step. */
const annotationLimit = 10;
const messageLimit = 4096;

/** The job's log: reads the steps' output line by line and executes the commands in it. */
export class JobLog {
  /** The log as people see it, masked. */
  readonly lines: string[] = [];
  readonly #parts: JobLogParts;
  #step: StepRecord = makeStepRecord();
  #echo = false;
  #resume: string | undefined;

  constructor(parts: JobLogParts) {
    this.#parts = parts;
  }

  /** Begins a step; stopped commands and echo end with the previous step. */
  beginStep(): StepRecord {
    this.#step = makeStepRecord();
    this.#echo = false;
    this.#resume = undefined;
    return this.#step;
  }

  /** Writes a line of the runner itself, masked. */
  write(line: string): void {
    const masked = this.#parts.masker.mask(line);
    this.lines.push(masked);
    this.#parts.onLine?.(masked);
  }

  /** Adds an annotation to the step and writes it to the log. */
  annotate(
    level: Annotation['level'],
    message: string,
    properties: Command['properties'] = {},
  ): void {
    const masked = this.#parts.masker.mask(message).slice(0, messageLimit);
    const { annotations } = this.#step;
    if (annotations.filter((other) => other.level === level).length < annotationLimit) {
      annotations.push({ level, message: masked, properties });
    }
    this.write(`##[${level}]${masked}`);
  }

  /** Annotates an error and fails the step. */
  fail(messages: string[]): void {
    for (const message of messages) this.annotate('error', message);
    this.#step.failed = true;
  }

  /** Processes one line of a step's output, from either stream. */
  take(line: string): void {
    const command = parseCommand(line, this.#resume);
    if (command === undefined || !this.#carryOut(command, line)) this.write(line);
  }

  // Returns false if the line is plain output.
  #carryOut(command: Command, line: string): boolean {
    if (this.#resume !== undefined) {
      if (command.name !== this.#resume.toLowerCase()) return false;
      this.write(line);
      this.#resume = undefined;
      return true;
    }
    const quiet = ['add-mask', 'debug', 'error', 'warning', 'notice'].includes(command.name);
    if (command.name === 'stop-commands') {
      this.#stop(command, line);
      return true;
    }
    if (this.#echo && !quiet) this.write(line);
    try {
      this.#run(command);
    } catch (error) {
      const shown = quiet ? command.name : line;
      this.fail([`Unable to process command '${shown}' successfully.`, (error as Error).message]);
    }
    return true;
  }

  #stop(command: Command, line: string): void {
    const token = command.data;
    if (token === '' || isCommandName(token) || token.toLowerCase() === 'pause-logging') {
      this.fail([
        "You cannot use a endToken that is an empty string, the string 'pause-logging', or another workflow command.",
      ]);
      return;
    }
    this.#resume = token;
    if (token.length > 6) this.#parts.masker.add(token);
    this.write(line);
  }

  #run({ name, properties, data }: Command): void {
    switch (name) {
      case 'add-mask':
        if (data.trim() === '') {
          this.annotate(
            'warning',
            "Can't add secret mask for empty string in ##[add-mask] command.",
          );
          return;
        }
        if (this.#echo) this.write('::add-mask::***');
        this.#parts.masker.add(data);
        return;
      case 'debug':
        if (this.#parts.debug)
          for (const part of data.split(/\r?\n/)) this.write(`##[debug]${part}`);
        return;
      case 'error':
      case 'warning':
      case 'notice':
        this.annotate(name, data, this.#relate(properties));
        return;
      case 'group':
        this.write(`##[group]${data}`);
        return;
      case 'endgroup':
        this.write('##[endgroup]');
        return;
      case 'echo':
        this.#switchEcho(data);
        return;
      case 'set-output':
      case 'save-state':
        this.annotate(
          'warning',
          `The \`${name}\` command is deprecated and will be disabled soon. Please upgrade to using Environment Files.`,
        );
        (name === 'set-output' ? this.#step.outputs : this.#step.state).set(
          readName(properties, name),
          data,
        );
        return;
      case 'set-env':
      case 'add-path':
        throw new Error(
          `The \`${name}\` command is disabled. Please upgrade to using Environment Files.`,
        );
      default:
        this.annotate(
          'warning',
          `The lab's runner has no problem matchers: ${name} had no effect.`,
        );
    }
  }

  #switchEcho(data: string): void {
    const word = data.trim().toLowerCase();
    if (word !== 'on' && word !== 'off') {
      throw new Error(
        `Invalid echo command value. Possible values can be: 'on', 'off'. Current value is: '${data}'.`,
      );
    }
    this.#echo = word === 'on';
  }

  // GitHub shows a file of the workspace by its path in the repository.
  #relate(properties: Command['properties']): Command['properties'] {
    const { file } = properties;
    if (file === undefined || !isAbsolute(file)) return properties;
    const path = relative(this.#parts.workspace, file);
    return path.startsWith('..') ? properties : { ...properties, file: path };
  }
}

function makeStepRecord(): StepRecord {
  return { annotations: [], outputs: new Map(), state: new Map(), failed: false };
}

function readName(properties: Command['properties'], command: string): string {
  const { name } = properties;
  if (name === undefined)
    throw new Error(`Required field 'name' is missing in ##[${command}] command.`);
  return name;
}
