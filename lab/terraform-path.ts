// Prints the path of a Terraform: the one on PATH, or the one that the action would install.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findTerraform } from '../src/terraform/install.ts';

const cache = join(import.meta.dirname, '.cache');
process.env.RUNNER_TOOL_CACHE ??= join(cache, 'tools');
process.env.RUNNER_TEMP ??= join(cache, 'temp');
mkdirSync(process.env.RUNNER_TEMP, { recursive: true });
const { path } = await findTerraform({ usesLockfile: true, log: (line) => console.error(line) });
console.log(path);
