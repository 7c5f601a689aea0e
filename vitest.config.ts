import { defineConfig } from 'vitest/config';

// Three speeds. `unit` is the inner loop; `bundle` spawns the committed dist; `e2e` needs the lab.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{src,lab,docs}/**/*.test.ts'],
          exclude: ['lab/{bundle,e2e}/**'],
        },
      },
      { test: { name: 'bundle', include: ['lab/bundle/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'e2e',
          include: ['lab/e2e/**/*.test.ts'],
          globalSetup: ['lab/e2e/teardown.ts'],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          // One world on one machine: the files share its addresses and its two cores.
          fileParallelism: false,
        },
      },
    ],
  },
});
