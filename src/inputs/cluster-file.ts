import type { Document, Node, Pair, Scalar, YAMLMap } from 'yaml';
import { quoteValue } from '../messages/quote-value.ts';
import { suggestName } from '../messages/suggest-name.ts';
import { CLUSTER_KEYS, type ClusterKey, FORMS, findKey } from './cluster-schema.ts';
import { REPAIR_KEYS } from './request-body.ts';
import { isSecretInput } from './secrets.ts';

/** Bytes that a cluster file may have. One of a thousand settings is smaller. */
export const MAX_FILE_BYTES = 64 * 1024;

/** Deeper than any backend's block. */
const MAX_LEVELS = 16;

/** One value of a cluster file, and where it is. */
export interface FileValue {
  /** As JSON has it; a number where a text is meant, such as `image_tag: 17.10`, is the text as it was written. */
  readonly value: unknown;
  /** Line of the key, from 1. */
  readonly line: number;
  /** Lines of the entries of a map by their key, and of a list by their index. */
  readonly lines: ReadonlyMap<string, number>;
}

/** What a cluster file says, as far as it can be read. */
export interface ClusterFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly values: ReadonlyMap<ClusterKey, FileValue>;
  /** Each begins with the path and a line, e.g. `clusters/orders.yml:4: …`. */
  readonly problems: readonly string[];
  /** Texts that the file must not have, to be hidden wherever they could be shown. */
  readonly secrets: readonly string[];
}

/**
 * Reads a cluster file (YAML 1.2, core schema; one document, a map). Values are not checked here, only that each is of
 * the kind that its key takes. Anchors, aliases, tags and keys given twice are problems, so that what is written is what
 * is meant, and that reading takes time in proportion to the file. Never throws.
 */
export async function parseClusterFile(path: string, bytes: Buffer): Promise<ClusterFile> {
  const fail = (line: number, problem: string): ClusterFile => ({
    path,
    values: new Map(),
    problems: [`${path}:${line}: ${problem}`],
    secrets: [],
  });
  const text = readText(bytes);
  if (typeof text !== 'string') return fail(text.line, text.problem);
  // Loaded here alone: it is large, and not every run has a file.
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  try {
    const document = yaml.parseDocument(text, {
      schema: 'core',
      version: '1.2',
      lineCounter: lines,
      prettyErrors: false,
      keepSourceTokens: false,
      // Checked below, in linear time.
      uniqueKeys: false,
    });
    return new Reader({ path, yaml, document, lines }).read();
  } catch (error) {
    // The library composes by recursion.
    if (error instanceof RangeError) return fail(1, `nested too deeply. ${FLAT}`);
    throw error;
  }
}

const FLAT = `Allowed: at most ${MAX_LEVELS} levels.`;
const EXAMPLE = 'a line per key, e.g. cluster_name: orders';

function readText(bytes: Buffer): string | { line: number; problem: string } {
  if (bytes.length > MAX_FILE_BYTES) {
    return { line: 1, problem: explainSize(bytes.length) };
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { line: 1, problem: 'not text in UTF-8. Save the file in that encoding.' };
  }
  if (text.startsWith('\uFEFF')) {
    return {
      line: 1,
      problem: 'begins with a byte-order mark. Save the file as UTF-8 without one.',
    };
  }
  const odd = /\r|[^\P{Cc}\t\n]/u.exec(text);
  if (odd === null) return text;
  const line = text.slice(0, odd.index).split('\n').length;
  return odd[0] === '\r'
    ? {
        line,
        problem:
          'the line ends with a carriage return, as on Windows. Save the file with line feeds alone (in .gitattributes: *.yml text eol=lf).',
      }
    : { line, problem: `${quoteValue(odd[0])} is a control character. Remove it.` };
}

/** Why a file of so many bytes is not read. */
export function explainSize(bytes: number): string {
  return `the file has ${bytes.toLocaleString('en')} bytes. Allowed: ${MAX_FILE_BYTES.toLocaleString('en')}. Is it the right file?`;
}

const ALIAS = 'an alias (*) stands for a value elsewhere. Write the value itself.';
const TAG = 'a tag (!) changes what a value is. Remove it, or put the value into quotes.';

/**
 * What is wrong, in the words of this product. The library's own may quote a value, which may be a secret; most of its
 * codes (yaml, "Errors") say no more to a person than that the text is no YAML.
 */
const SYNTAX: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab stands where YAML wants spaces. Indent with spaces.',
  MULTIPLE_DOCS: 'a second document begins here. Allowed: one cluster a file.',
  BAD_INDENT: `not YAML: the line is not indented as those around it, or a bracket before it is open. Write ${EXAMPLE}.`,
  MISSING_CHAR: `not YAML: a quote, bracket or colon is missing. Write ${EXAMPLE}.`,
  BAD_ALIAS: ALIAS,
  TAG_RESOLVE_FAILED: TAG,
};
const NO_YAML = `not YAML: put a value with special characters into quotes. Write ${EXAMPLE}.`;

class Reader {
  readonly #path: string;
  readonly #yaml: typeof import('yaml');
  readonly #document: Document;
  readonly #lines: import('yaml').LineCounter;
  readonly #problems: { line: number; text: string }[] = [];
  readonly #secrets: string[] = [];
  readonly #values = new Map<ClusterKey, FileValue>();

  constructor(parts: {
    path: string;
    yaml: typeof import('yaml');
    document: Document;
    lines: import('yaml').LineCounter;
  }) {
    this.#path = parts.path;
    this.#yaml = parts.yaml;
    this.#document = parts.document;
    this.#lines = parts.lines;
  }

  read(): ClusterFile {
    const [error] = this.#document.errors;
    // One is enough: those after it are mostly its consequences.
    if (error !== undefined) {
      const text = /call stack/i.test(error.message)
        ? `nested too deeply. ${FLAT}`
        : (SYNTAX[error.code] ?? NO_YAML);
      this.#problems.push({ line: this.#lines.linePos(error.pos[0]).line || 1, text });
    } else {
      this.#refuseIndirection();
      if (this.#problems.length === 0) this.#readRoot();
    }
    return {
      path: this.#path,
      values: this.#values,
      problems: this.#problems
        .sort((a, b) => a.line - b.line)
        .map(({ line, text }) => `${this.#path}:${line}: ${text}`),
      secrets: this.#secrets,
    };
  }

  #refuse(line: number, text: string): void {
    this.#problems.push({ line, text });
  }

  /** What stands for something that is written elsewhere, and private keys, wherever they are. */
  #refuseIndirection(): void {
    const { isAlias, isScalar, visit } = this.#yaml;
    const { BREAK } = visit;
    visit(this.#document, {
      Node: (_, node, path) => {
        const line = this.#lineOf(node);
        if (path.length > 2 * MAX_LEVELS + 1) {
          this.#refuse(line, `nested too deeply. ${FLAT}`);
          return BREAK;
        }
        if (isAlias(node)) {
          this.#refuse(line, ALIAS);
          return BREAK;
        }
        if (node.anchor !== undefined) {
          this.#refuse(line, 'an anchor (&) names a value, for aliases. Write the value itself.');
          return BREAK;
        }
        if (node.tag !== undefined) {
          this.#refuse(line, TAG);
        } else if (isScalar(node) && /-----BEGIN [A-Z ]*PRIVATE KEY/.test(String(node.value))) {
          this.#secrets.push(String(node.value));
          this.#refuse(
            line,
            'a private key stands here. Remove it, give up that key, since everybody who can read the repository has it, and give a new one as the input ssh-private-key.',
          );
        }
        return undefined;
      },
    });
  }

  #readRoot(): void {
    const root = this.#document.contents;
    const { isMap, isScalar, isSeq } = this.#yaml;
    if (root === null || (isScalar(root) && root.value === null)) {
      this.#refuse(1, `the file is empty. Write ${EXAMPLE}.`);
    } else if (isMap(root)) {
      this.#readPairs(root as YAMLMap);
    } else {
      const what = isSeq(root) ? 'a list' : 'a single value';
      this.#refuse(
        this.#lineOf(root),
        `the file is ${what}. Write ${EXAMPLE}. Several clusters need a file each.`,
      );
    }
  }

  #readPairs({ items }: YAMLMap): void {
    const seen = new Map<string, number>();
    for (const pair of items) {
      const name = this.#readKey(pair);
      const line = this.#lineOf(pair.key as Node);
      if (name === null) this.#refuse(line, `a key is not a plain text. Write ${EXAMPLE}.`);
      else if (seen.has(name)) {
        this.#refuse(
          line,
          `${showKey(name)} is given twice, first in line ${seen.get(name)}. Keep one of them.`,
        );
      } else {
        seen.set(name, line);
        this.#readPair({ name, line, value: pair.value as Node | null });
      }
    }
  }

  #readPair({ name, line, value }: { name: string; line: number; value: Node | null }): void {
    const input = name.replaceAll('_', '-');
    const key = Object.hasOwn(FORMS, name) ? (name as ClusterKey) : null;
    if (isSecretInput(input)) {
      if (this.#yaml.isScalar(value)) this.#secrets.push(String(value.value ?? ''));
      this.#refuse(
        line,
        `${name}: a secret stands in the file. Remove it, change the secret, since everybody who can read the repository knows it, and give the new one as the input ${input}.`,
      );
    } else if (key === null) {
      this.#refuse(line, explainUnknown(name));
    } else if (value === null || (this.#yaml.isScalar(value) && value.value === null)) {
      this.#refuse(line, `${key}: has no value. Give one, or remove the line to have the default.`);
    } else {
      const lines = new Map<string, number>();
      const found = this.#readValue(value, { key, lines, line });
      if (found !== undefined) this.#values.set(key, { value: found, line, lines });
    }
  }

  #readValue(
    node: Node,
    at: { key: ClusterKey; lines: Map<string, number>; line: number },
  ): unknown {
    const { isMap, isScalar, isSeq } = this.#yaml;
    const { key, lines, line } = at;
    const form = FORMS[key];
    if (form === 'settings' || form === 'backend') {
      if (!isMap(node)) {
        const example = form === 'settings' ? 'work_mem: 8MB' : 'bucket: my-state';
        this.#refuse(line, `${key}: not a map. Write a line per name below it, e.g. ${example}.`);
        return undefined;
      }
      return this.#readMap(node as YAMLMap, { ...at, texts: form === 'settings' });
    }
    if (isMap(node) || (isSeq(node) && form !== 'list')) {
      this.#refuse(
        line,
        `${key}: ${isMap(node) ? 'a map' : 'a list'} is not allowed. Give one value.`,
      );
      return undefined;
    }
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        lines.set(String(index), this.#lineOf(item as Node));
        return this.#readInner(item as Node, { key, texts: false });
      });
    }
    return isScalar(node) ? readScalar(node, form) : undefined;
  }

  /** A map as JSON; with `texts` of single values alone, which become the texts that were written. */
  #readMap(
    map: YAMLMap,
    at: { key: ClusterKey; lines?: Map<string, number>; texts: boolean },
  ): unknown {
    const { key, lines, texts } = at;
    const entries = new Map<string, unknown>();
    for (const pair of map.items) {
      const line = this.#lineOf(pair.key as Node);
      const name = this.#readKey(pair);
      const value = pair.value as Node | null;
      if (name === null) {
        this.#refuse(line, `${key}: a name is not a plain text.`);
      } else if (entries.has(name)) {
        this.#refuse(line, `${key}: ${showKey(name)} is given twice. Keep one of them.`);
      } else if (value === null || (this.#yaml.isScalar(value) && value.value === null)) {
        this.#refuse(
          line,
          `${key}: ${showKey(name)} has no value. Give one, '' for an empty one, or remove the line.`,
        );
      } else if (texts && !this.#yaml.isScalar(value)) {
        this.#refuse(line, `${key}: ${showKey(name)} is not a single value. Give one.`);
      } else {
        lines?.set(name, line);
        entries.set(name, this.#readInner(value, { key, texts }));
      }
    }
    return Object.fromEntries(entries);
  }

  #readInner(node: Node, at: { key: ClusterKey; texts: boolean }): unknown {
    const { isMap, isScalar, isSeq } = this.#yaml;
    if (isMap(node)) return this.#readMap(node as YAMLMap, at);
    if (isSeq(node)) return node.items.map((item) => this.#readInner(item as Node, at));
    if (!isScalar(node)) return null;
    const value = readScalar(node, 'text');
    return at.texts ? String(value) : value;
  }

  #readKey(pair: Pair): string | null {
    return this.#yaml.isScalar(pair.key) && typeof pair.key.value === 'string'
      ? pair.key.value
      : null;
  }

  #lineOf(node: Node | null): number {
    const offset = node?.range?.[0];
    return offset === undefined ? 1 : this.#lines.linePos(offset).line;
  }
}

/** A number where a text is meant is the text that was written: 17.10 is no 17.1. */
function readScalar({ value, source }: Scalar, form: string): unknown {
  return form === 'text' && typeof value === 'number' ? (source ?? String(value)) : value;
}

/** Inputs that say what one run does. */
const OF_ONE_RUN: readonly string[] = [
  ...['command', 'request', 'cluster_file'],
  ...REPAIR_KEYS.map((key) => key.replaceAll('-', '_')),
];

function explainUnknown(name: string): string {
  const shown = showKey(name);
  if (OF_ONE_RUN.includes(name.replaceAll('-', '_'))) {
    const input = name.replaceAll('_', '-');
    return `${shown} says nothing of the cluster. Give it as the input ${input} of the step.`;
  }
  const input = findKey(name);
  const near = input ?? suggestName(name, CLUSTER_KEYS);
  const hint = near === null ? '' : ` Did you mean ${near}?`;
  return `unknown key ${shown}.${hint} Allowed: ${CLUSTER_KEYS.join(', ')}.`;
}

const showKey = (name: string): string => (/^[a-z_]{1,64}$/.test(name) ? name : quoteValue(name));
