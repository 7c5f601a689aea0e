// npm run demo:down: removes every trace of the demo, or of the world named as argument.
// With --keep-images the next start need not build them again.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { destroyWorld } from './world.ts';

const { values, positionals } = parseArgs({
  options: { 'keep-images': { type: 'boolean', default: false } },
  allowPositionals: true,
});
const name = positionals[0] ?? 'lab';
await destroyWorld(name, { images: !values['keep-images'] });
console.log(
  `Removed: containers, networks, loop devices and files of the world "${name}"${values['keep-images'] ? '' : ', and the images'}.`,
);

// The daemon the lab started itself goes too, once nothing of the lab needs it.
const out = join(import.meta.dirname, '.out');
const pidFile = join(out, 'dockerd.pid');
if (!values['keep-images'] && existsSync(pidFile)) {
  const pid = Number(readFileSync(pidFile, 'utf8'));
  const command = `/proc/${pid}/comm`;
  if (existsSync(command) && readFileSync(command, 'utf8').trim() === 'dockerd') {
    process.kill(pid, 'SIGTERM');
    console.log('Stopped the Docker daemon that the lab had started.');
  }
  rmSync(out, { recursive: true, force: true });
}
