import { afterEach, beforeEach } from 'vitest';

// The tests of a file share one world, one after the other. After a failed test the next one would start from an
// incomplete state, fail for no reason of its own and hide the first failure, which is the relevant one.

let failed: string | undefined;

beforeEach(({ skip }) => {
  if (failed !== undefined) skip(`"${failed}" failed before it`);
});

afterEach(({ task }) => {
  if (task.result?.state === 'fail') failed ??= task.name;
});
