import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { LANES } from './lab/e2e/lanes.ts';

/** The lab's provider beside the real one, and setup/aws with the real one. */
const CONTRACT = ['lab/contract/provider.test.ts', 'lab/contract/setup.test.ts'];

/** They start Terraform or Ansible, on this machine alone. */
const PROGRAMS = [
  'src/**/*.terraform.test.ts',
  'lab/{playbooks,templates,tools}/**/*.test.ts',
  'lab/aws/terraform.test.ts',
];

// Projects by speed. `unit` is the inner loop; `programs` needs Terraform and Ansible; `bundle` spawns the committed dist; `e2e` needs the lab; `contract` needs
// the real provider, and is skipped without it.
export default defineConfig({
  test: {
    // Many tests wait for a program or a timeout.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{src,lab,docs,schema}/**/*.test.ts'],
          exclude: ['lab/{bundle,e2e,setup}/**', ...CONTRACT, ...PROGRAMS],
          // No test here needs that long, but on a busy machine a second can become ten.
          testTimeout: 30_000,
        },
      },
      { test: { name: 'programs', include: PROGRAMS, testTimeout: 30_000 } },
      {
        test: { name: 'bundle', include: ['lab/{bundle,setup}/**/*.test.ts'], testTimeout: 60_000 },
      },
      {
        test: {
          name: 'contract',
          include: CONTRACT,
          // Beside the end-to-end tests: most of the time Terraform reads the real provider's schema, on one core.
          maxWorkers: LANES,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['lab/e2e/**/*.test.ts'],
          globalSetup: ['lab/e2e/setup.ts'],
          setupFiles: ['lab/e2e/in-order.ts'],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          // Each lane has its own addresses, and all share the cores: see lane.ts.
          maxWorkers: LANES,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
