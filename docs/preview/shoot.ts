// node docs/preview/shoot.ts takes the pictures of the README: golden comments as GitHub shows them.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Browser } from './browser.ts';
import { commentId } from './page.ts';
import { shrinkPng } from './png.ts';
import { writePage } from './render.ts';

const FOLDER = join(import.meta.dirname, '../images');

/** Limit per picture, for readers with slow connections. */
const MAX_BYTES = 150_000;

// GitHub's font stack names these. Other fonts would change every line break.
const FONTS: Readonly<Record<string, string>> = {
  'Noto Sans': 'fonts-noto-core',
  'Liberation Mono': 'fonts-liberation2',
  'Noto Color Emoji': 'fonts-noto-color-emoji',
};

interface Picture {
  /** File name without its ending. */
  readonly name: string;
  readonly golden: string;
  readonly theme: 'light' | 'dark';
  readonly width: 'desk' | 'phone';
  /** How many folded parts, from the top, are opened. */
  readonly open?: number;
}

const DESK = { width: 912, height: 1000, deviceScaleFactor: 2, mobile: false };
const PHONE = { width: 390, height: 844, deviceScaleFactor: 2, mobile: true };

const SUBJECTS = [
  { subject: 'settings', golden: 'change-settings' },
  { subject: 'scale-in-refused', golden: 'change-scale-in-blocked' },
  { subject: 'first-deploy', golden: 'cluster-first' },
  { subject: 'done', golden: 'deploy-done' },
] as const;

const PICTURES: readonly Picture[] = [
  ...SUBJECTS.flatMap(({ subject, golden }) =>
    (['light', 'dark'] as const).map(
      (theme): Picture => ({ name: `${subject}-${theme}`, golden, theme, width: 'desk' }),
    ),
  ),
  { name: 'first-deploy-phone', golden: 'cluster-private', theme: 'light', width: 'phone' },
  { name: 'settings-phone', golden: 'change-settings', theme: 'light', width: 'phone' },
  {
    name: 'scale-in-refused-phone',
    golden: 'change-scale-in-blocked',
    theme: 'dark',
    width: 'phone',
  },
];

/** Writes every picture of `PICTURES` and returns their paths. Throws, with the next step, if one cannot be taken. */
export async function shootComments(folder = FOLDER): Promise<string[]> {
  requireFonts();
  mkdirSync(folder, { recursive: true });
  const page = pathToFileURL(writePage()).href;
  await using browser = await Browser.open();
  const files: string[] = [];
  for (const picture of PICTURES) {
    const image = await takePicture(browser, { page, picture });
    const file = join(folder, `${picture.name}.png`);
    if (image.length > MAX_BYTES) {
      throw new Error(
        `${file} would have ${image.length} bytes, more than ${MAX_BYTES}. Choose a shorter golden than ${picture.golden}.`,
      );
    }
    writeFileSync(file, image);
    files.push(file);
  }
  return files;
}

async function takePicture(
  browser: Browser,
  { page, picture }: { page: string; picture: Picture },
): Promise<Buffer> {
  const { golden, theme, width, open = 0 } = picture;
  const session = await browser.openPage(`${page}#${commentId(golden)}`);
  const metrics = width === 'phone' ? PHONE : DESK;
  await browser.send('Emulation.setDeviceMetricsOverride', metrics, session);
  const expression = `(${arrangePage})(${JSON.stringify({ id: commentId(golden), theme, width, open })})`;
  const { result } = await browser.send(
    'Runtime.evaluate',
    { expression, awaitPromise: true, returnByValue: true },
    session,
  );
  const clip = (result as { value?: object }).value;
  if (!clip) {
    throw new Error(`There is no golden file ${golden}.md. Name another in docs/preview/shoot.ts.`);
  }
  const { data } = await browser.send(
    'Page.captureScreenshot',
    { format: 'png', captureBeyondViewport: true, clip: { ...clip, scale: 1 } },
    session,
  );
  return shrinkPng(Buffer.from(String(data), 'base64'));
}

/** Runs in the page, as text. Sets theme and width and returns the box of the comment; null without a comment. */
const arrangePage = `async ({ id, theme, width, open }) => {
  document.getElementById(theme).checked = true;
  document.getElementById(width).checked = true;
  const box = document.getElementById(id);
  if (box === null) return null;
  for (const details of [...box.querySelectorAll('.markdown-body details')].slice(0, open)) details.open = true;
  await document.fonts.ready;
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const { left, top, right, bottom } = box.getBoundingClientRect();
  const x = Math.floor(left + scrollX);
  const y = Math.floor(top + scrollY);
  return { x, y, width: Math.ceil(right + scrollX) - x, height: Math.ceil(bottom + scrollY) - y };
}`;

function requireFonts(): void {
  const missing = Object.entries(FONTS)
    .filter(([family]) => {
      const { stdout } = spawnSync('fc-match', ['--format=%{family}', family], {
        encoding: 'utf8',
      });
      return !stdout?.includes(family);
    })
    .map(([, debian]) => debian);
  if (missing.length === 0) return;
  throw new Error(
    `Without GitHub's fonts the pictures would differ. On Debian: apt-get install --no-install-recommends fontconfig ${missing.join(' ')}`,
  );
}

if (import.meta.main) {
  try {
    for (const file of await shootComments()) process.stdout.write(`${file}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
