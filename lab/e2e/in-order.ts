import { afterEach, beforeEach } from 'vitest';

// The tests of a file live through one world, one after the other. What a failed one leaves half-done is not what
// the next one begins with: it would fail for no reason of its own and bury the first, which is the one to read.

let failed: string | undefined;

beforeEach(({ skip }) => {
  if (failed !== undefined) skip(`"${failed}" failed before it`);
});

afterEach(({ task }) => {
  if (task.result?.state === 'fail') failed ??= task.name;
});
