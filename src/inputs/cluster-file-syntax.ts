import type { Document, LineCounter, Node } from 'yaml';
import type { LineProblem } from './cluster-file-text.ts';

/** A parsed document. `yaml` is the library, which is loaded only when there is a file to read. */
export interface ParsedYaml {
  readonly yaml: typeof import('yaml');
  readonly document: Document;
  readonly lines: LineCounter;
}

/** The beginning of a correct file, for messages. */
export const EXAMPLE_LINE = 'a line per key, e.g. cluster_name: orders';

/** Deeper than any backend's block. */
const MAX_LEVELS = 16;
/** The problem of a file that is nested too deeply. */
export const TOO_DEEP = `nested too deeply. Allowed: at most ${MAX_LEVELS} levels.`;

const ALIAS = 'an alias (*) refers to a value elsewhere. Write the value itself.';
const TAG = 'a tag (!) changes what a value is. Remove it, or put the value into quotes.';

/**
 * Messages by the library's error code (yaml, "Errors"). The library's own messages may quote a value, which may be a
 * secret. Codes that are not listed only say that the text is not YAML.
 */
const SYNTAX_ERRORS: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab is used where YAML requires spaces. Indent with spaces.',
  MULTIPLE_DOCS: 'a second document begins here. Allowed: one cluster a file.',
  BAD_INDENT: `not YAML: the line is not indented as those around it, or a bracket before it is open. Write ${EXAMPLE_LINE}.`,
  MISSING_CHAR: `not YAML: a quote, bracket or colon is missing. Write ${EXAMPLE_LINE}.`,
  BAD_ALIAS: ALIAS,
  TAG_RESOLVE_FAILED: TAG,
};
const OTHER_ERROR = `not YAML: put a value with special characters into quotes. Write ${EXAMPLE_LINE}.`;

/**
 * Finds syntax errors, anchors, aliases, tags and deep nesting, and private keys wherever they are. `secrets` are the
 * private keys, to be hidden.
 */
export function checkSyntax({ yaml, document, lines }: ParsedYaml): {
  problems: LineProblem[];
  secrets: string[];
} {
  const [error] = document.errors;
  if (error !== undefined) {
    const text = /call stack/i.test(error.message)
      ? TOO_DEEP
      : (SYNTAX_ERRORS[error.code] ?? OTHER_ERROR);
    // Later errors are mostly consequences of the first.
    return {
      problems: [{ line: lines.linePos(error.pos[0]).line || 1, text }],
      secrets: [],
    };
  }
  const problems: LineProblem[] = [];
  const secrets: string[] = [];
  const { BREAK } = yaml.visit;
  yaml.visit(document, {
    Node: (_, node, path) => {
      const line = findLine(node, lines);
      const stop = (text: string) => {
        problems.push({ line, text });
        return BREAK;
      };
      if (path.length > 2 * MAX_LEVELS + 1) return stop(TOO_DEEP);
      if (yaml.isAlias(node)) return stop(ALIAS);
      if (node.anchor !== undefined) {
        return stop('an anchor (&) names a value, for aliases. Write the value itself.');
      }
      if (node.tag !== undefined) {
        problems.push({ line, text: TAG });
      } else if (yaml.isScalar(node) && /-----BEGIN [A-Z ]*PRIVATE KEY/.test(String(node.value))) {
        secrets.push(String(node.value));
        problems.push({
          line,
          text: 'the file contains a private key. Remove it, give up that key, since everybody who can read the repository has it, and give a new one as the input ssh-private-key.',
        });
      }
      return undefined;
    },
  });
  return { problems, secrets };
}

/** Returns the line on which a node begins. */
export function findLine(node: Node | null, lines: LineCounter): number {
  const offset = node?.range?.[0];
  return offset === undefined ? 1 : lines.linePos(offset).line;
}
