import { expect, test } from 'vitest';
import { UnreachableError } from '../operations/reachability.ts';
import type { DeployReport } from '../report/deploy-report.ts';
import type { Announcement } from './announcement.ts';
import { summarizeRun } from './summarize-run.ts';
import { createJob } from './testing/job.ts';

test('a run that fails because nodes cannot be reached keeps the sentences apart from what ssh said', async () => {
  const summaries: string[] = [];
  const announcement = {
    summarize: async (report: DeployReport, render: (report: DeployReport) => string) => {
      summaries.push(render(report));
    },
  } as unknown as Announcement;
  const error = new UnreachableError(['node-1 cannot be reached.'], {
    failures: [],
    transcripts: ['node-1: Log in: timed out'],
  });
  const end = summarizeRun(
    createJob(),
    { announcement, commit: 'a'.repeat(40), nextStep: () => 'Run it again.' },
    () => Promise.reject(error),
  );
  await expect(end).rejects.toBe(error);
  expect(summaries).toEqual([
    expect.stringMatching(/^node-1 cannot be reached\.\n\n\*\*Next:\*\* Run it again\./m),
  ]);
  expect(summaries[0]).toMatch(/<summary>What ssh said[\s\S]*node-1: Log in: timed out/);
});
