import type { Node, Pair, Scalar, YAMLMap } from 'yaml';
import { quoteValue } from '../messages/quote-value.ts';
import { suggestName } from '../messages/suggest-name.ts';
import { REPAIR_KEYS } from './call-schema.ts';
import {
  checkSyntax,
  EXAMPLE_LINE,
  findLine,
  type ParsedYaml,
  TOO_DEEP,
} from './cluster-file-syntax.ts';
import { decodeText, type LineProblem } from './cluster-file-text.ts';
import { CLUSTER_KEYS, type ClusterKey, FORMS, findKey } from './cluster-schema.ts';
import { isSecretInput } from './secrets.ts';

/** A line of each map. */
const MAP_EXAMPLES: Readonly<Partial<Record<ClusterKey, string>>> = {
  backup: 'bucket: acme-backups',
  restore: 'from: {bucket: acme-backups, cluster: orders}',
  snapshots: 'keep: 7',
};

/** One value of a cluster file, and its lines. */
export interface FileValue {
  /** As in JSON. A number where a text is expected, such as `image_tag: 17.10`, is the text as written. */
  readonly value: unknown;
  /** Line of the key, from 1. */
  readonly line: number;
  /** Lines of the entries of a map, by key, and of the items of a list, by index. */
  readonly lines: ReadonlyMap<string, number>;
}

/** The readable content of a cluster file, and its problems. */
export interface ClusterFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly values: ReadonlyMap<ClusterKey, FileValue>;
  /** Each begins with the path and a line, e.g. `clusters/orders.yml:4: …`. */
  readonly problems: readonly string[];
  /** Texts that a file must not contain, to be hidden in every message. */
  readonly secrets: readonly string[];
}

/**
 * Reads a cluster file (YAML 1.2, core schema; one document, a map). Checks that each value has the form of its key; the
 * values themselves are checked later. Rejects anchors, aliases, tags and duplicate keys: no value is written elsewhere
 * or overwritten, and reading takes linear time. Never throws.
 */
export async function parseClusterFile(path: string, bytes: Buffer): Promise<ClusterFile> {
  const build = (
    problems: readonly LineProblem[],
    { values = new Map(), secrets = [] }: Partial<Pick<ClusterFile, 'values' | 'secrets'>> = {},
  ): ClusterFile => ({
    path,
    values,
    problems: [...problems]
      .sort((a, b) => a.line - b.line)
      .map(({ line, text }) => `${path}:${line}: ${text}`),
    secrets,
  });
  const text = decodeText(bytes);
  if (typeof text !== 'string') return build([text]);
  // Loaded on demand: the library is large, and only runs with a cluster file need it.
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  try {
    const document = yaml.parseDocument(text, {
      schema: 'core',
      version: '1.2',
      lineCounter: lines,
      prettyErrors: false,
      keepSourceTokens: false,
      // The library's check takes quadratic time.
      uniqueKeys: false,
    });
    const { problems, secrets } = checkSyntax({ yaml, document, lines });
    if (problems.length > 0) return build(problems, { secrets });
    const reader = new ValueReader({ yaml, document, lines });
    reader.readDocument();
    return build(reader.problems, reader);
  } catch (error) {
    // The library composes nodes by recursion.
    if (error instanceof RangeError) return build([{ line: 1, text: TOO_DEEP }]);
    throw error;
  }
}

/** Collects the values of a document and their problems. */
class ValueReader {
  readonly problems: LineProblem[] = [];
  readonly secrets: string[] = [];
  readonly values = new Map<ClusterKey, FileValue>();
  readonly #parsed: ParsedYaml;
  readonly #yaml: ParsedYaml['yaml'];

  constructor(parsed: ParsedYaml) {
    this.#parsed = parsed;
    this.#yaml = parsed.yaml;
  }

  #refuse(line: number, text: string): void {
    this.problems.push({ line, text });
  }

  readDocument(): void {
    const root = this.#parsed.document.contents;
    const { isMap, isScalar, isSeq } = this.#yaml;
    if (root === null || (isScalar(root) && root.value === null)) {
      this.#refuse(1, `the file is empty. Write ${EXAMPLE_LINE}.`);
    } else if (isMap(root)) {
      this.#readPairs(root as YAMLMap);
    } else {
      const what = isSeq(root) ? 'a list' : 'a single value';
      this.#refuse(
        this.#lineOf(root),
        `the file is ${what}. Write ${EXAMPLE_LINE}. Several clusters need a file each.`,
      );
    }
  }

  #readPairs({ items }: YAMLMap): void {
    const seen = new Map<string, number>();
    for (const pair of items) {
      const name = this.#readKey(pair);
      const line = this.#lineOf(pair.key as Node);
      if (name === null) this.#refuse(line, `a key is not a plain text. Write ${EXAMPLE_LINE}.`);
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
      if (this.#yaml.isScalar(value)) this.secrets.push(String(value.value ?? ''));
      this.#refuse(
        line,
        `${name}: the file contains a secret. Remove it, change the secret, since everybody who can read the repository knows it, and give the new one as the input ${input}.`,
      );
    } else if (key === null) {
      this.#refuse(line, explainUnknown(name));
    } else if (value === null || (this.#yaml.isScalar(value) && value.value === null)) {
      this.#refuse(line, `${key}: has no value. Give one, or remove the line to have the default.`);
    } else {
      const lines = new Map<string, number>();
      const found = this.#readValue(value, { key, lines, line });
      if (found !== undefined) this.values.set(key, { value: found, line, lines });
    }
  }

  #readValue(
    node: Node,
    at: { key: ClusterKey; lines: Map<string, number>; line: number },
  ): unknown {
    const { isMap, isScalar, isSeq } = this.#yaml;
    const { key, lines, line } = at;
    const form = FORMS[key];
    if (form === 'settings' || form === 'backend' || form === 'tags' || form === 'map') {
      if (!isMap(node)) {
        const example = {
          settings: 'work_mem: 8MB',
          backend: 'bucket: my-state',
          tags: 'Team: orders',
          map: MAP_EXAMPLES[key] ?? '',
        }[form];
        this.#refuse(line, `${key}: not a map. Write a line per name below it, e.g. ${example}.`);
        return undefined;
      }
      return this.#readMap(node as YAMLMap, {
        ...at,
        texts: form === 'settings' || form === 'tags',
      });
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

  /** Converts a map to JSON. With `texts` its values must be single values, which stay texts as written. */
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
    const value = readScalar(node, FORMS[at.key] === 'map' ? 'number' : 'text');
    return at.texts ? String(value) : value;
  }

  #readKey(pair: Pair): string | null {
    return this.#yaml.isScalar(pair.key) && typeof pair.key.value === 'string'
      ? pair.key.value
      : null;
  }

  #lineOf(node: Node | null): number {
    return findLine(node, this.#parsed.lines);
  }
}

/** Returns a scalar's value. A number where a text is expected stays the text as written: 17.10 is not 17.1. */
function readScalar({ value, source }: Scalar, form: string): unknown {
  return form === 'text' && typeof value === 'number' ? (source ?? String(value)) : value;
}

/** Inputs of a single run. */
const RUN_INPUTS: readonly string[] = [
  ...['command', 'request', 'cluster_file'],
  ...REPAIR_KEYS.map((key) => key.replaceAll('-', '_')),
];

function explainUnknown(name: string): string {
  const shown = showKey(name);
  if (RUN_INPUTS.includes(name.replaceAll('-', '_'))) {
    const input = name.replaceAll('_', '-');
    return `${shown} does not describe the cluster. Give it as the input ${input} of the step.`;
  }
  const input = findKey(name);
  const near = input ?? suggestName(name, CLUSTER_KEYS);
  const hint =
    near === null ? ' A setting of PostgreSQL belongs below settings.' : ` Did you mean ${near}?`;
  return `unknown key ${shown}.${hint} Allowed: ${CLUSTER_KEYS.join(', ')}.`;
}

const showKey = (name: string): string => (/^[a-z_]{1,64}$/.test(name) ? name : quoteValue(name));
