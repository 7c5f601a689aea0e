// npm run demo:down: removes the demo, or the world named as argument, and the lab's images; stops the Docker daemon if
// the lab started it. It leaves the Debian and npm packages that bootstrap.mjs installed. With --keep-images the images
// and the daemon stay, and the next demo starts faster.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readDownOptions } from './demo-options.ts';
import { stopDocker } from './dockerd.mjs';
import { destroyWorld } from './world.ts';

function readOptions() {
  try {
    return readDownOptions(process.argv.slice(2), process.env);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}

const { world: name, keepImages } = readOptions();
const images = !keepImages;
await destroyWorld(name, { images });
console.log(
  `Removed: containers, networks, loop devices and files of the world "${name}"${images ? ', and the images' : ''}.`,
);

const out = join(import.meta.dirname, '.out');
if (images) {
  if (await stopDocker(out)) console.log('Stopped the Docker daemon that the lab had started.');
  rmSync(join(import.meta.dirname, '.cache'), { recursive: true, force: true });
}
rmSync(join(out, 'report.json'), { force: true });
// Folders are other worlds; a pid file belongs to a daemon that still runs.
const kept = existsSync(out)
  ? readdirSync(out, { withFileTypes: true }).filter(
      (entry) => entry.isDirectory() || entry.name === 'dockerd.pid',
    )
  : [];
if (kept.length === 0) rmSync(out, { recursive: true, force: true });
console.log(
  `Left in place: node_modules${images ? '' : ', the images'} and the Debian packages that the lab installed.`,
);
