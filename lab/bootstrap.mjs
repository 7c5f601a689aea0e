// Checks the version of Node, then prepares the machine (machine.mjs). An older Node must print one sentence, not a
// syntax error: so nothing here is newer than Node 12, and nothing is imported before the check.

/** The oldest Node that runs the lab's plain JavaScript, as in the `engines` of package.json. */
const REQUIRED = [20, 11];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
  console.error(
    `The lab requires Node ${REQUIRED.join('.')} or later; this is ${process.version}.`,
  );
  process.exit(1);
}

import('./machine.mjs').catch((error) => {
  console.error(error);
  process.exit(1);
});
