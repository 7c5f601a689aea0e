// Builds lab images: `node lab/images/build.ts [name…]` (default: all required); `--remove` removes them all.
import { type ImageName, requiredNames } from './catalogue.ts';
import { ensureImages, removeImages } from './images.ts';

const names = process.argv.slice(2);
if (names.includes('--remove')) {
  await removeImages();
} else {
  const only = (names.length > 0 ? names : requiredNames) as ImageName[];
  const images = await ensureImages({ only, onProgress: console.log });
  for (const [name, tag] of Object.entries(images)) console.log(`${name} ${tag}`);
}
