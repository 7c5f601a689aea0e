import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderMarkdown } from '../../docs/preview/markdown.ts';
import { pinImage } from '../cluster/image.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import { findProofProblems } from '../cluster/proof.ts';
import { explainBackupLoss } from '../cluster/rollout/backup-loss.ts';
import { rollout } from '../cluster/rollout/rollout.ts';
import { isTerraformStep } from '../cluster/rollout/step.ts';
import { buildTopologyChange } from '../cluster/rollout/topology.ts';
import { compareWithLive } from '../cluster/settings/change.ts';
import { UserError } from '../messages/errors.ts';
import { summarizeBackups } from '../report/backups.ts';
import { renderDeployComment } from '../report/deploy-comment.ts';
import { describeExceptions, describeFaults } from '../report/faults.ts';
import { createPlan } from '../report/fixtures/plan.ts';
import { createDeployReport, createPlanReport } from '../report/fixtures/report.ts';
import { renderPlanComment } from '../report/plan-comment.ts';
import { listSteps } from '../report/steps.ts';
import { renderDeploySummary, renderPlanSummary } from '../report/summary.ts';
import { ASKED, createReport, REPORTED } from './fixtures.ts';
import { listFailures } from './playbook-error.ts';
import { type AnsibleResult, parseResult } from './result.ts';
import { renderVariables } from './variables.ts';

// A hostile value in any field of a report is refused by name, or stays data everywhere.

const HOSTILE = [
  "{{ lookup('pipe', 'id') }}",
  '{% for x in [1] %}{{ x }}{% endfor %}',
  '{# comment #}',
  '$(id)`id`;id|id',
  "'; DROP TABLE accounts; --",
  '--privileged',
  '::set-output name=x::y',
  'text\n::add-mask::y\r::error::z',
  '##[command]id',
  '<img src=x onerror=alert(1)><script>alert(1)</script>',
  '[x](https://evil.invalid) ![x](https://evil.invalid) https://evil.invalid @acme/owners #1',
  '\n\n# heading\n\n```\n</details>|x|',
  'a\u202eb\u2066c',
  'a\u2028::error::b\u2029c',
  'a\u0000b\u001b[31mc\u0007',
  '__proto__',
  'constructor',
  '1',
  '',
  'x'.repeat(1_100_000),
] as const;
const OTHERS: readonly unknown[] = [null, true, -1, 1.5, 1e300, [], {}, ['x'], { x: 'y' }];

const SYNCHRONOUS = { synchronousReplicas: 1 };

type Path = readonly (string | number)[];

/** Every place of a report that can hold something else: values, and names that a node chose. */
function listPlaces(value: unknown, path: Path = []): { path: Path; isName: boolean }[] {
  if (typeof value !== 'object' || value === null) return [{ path, isName: false }];
  return Object.entries(value).flatMap(([key, entry]) => {
    const next = [...path, Array.isArray(value) ? Number(key) : key];
    const isChosen = ['settings', 'overrides', 'stats'].includes(String(path.at(-1)));
    return [...(isChosen ? [{ path: next, isName: true }] : []), ...listPlaces(entry, next)];
  });
}

/** `document` with something else at one place. */
function bend(
  document: AnsibleResult,
  { path, isName }: { path: Path; isName: boolean },
  hostile: unknown,
): unknown {
  const copy = structuredClone(document);
  const last = path.at(-1) as string | number;
  const parent = path
    .slice(0, -1)
    .reduce<Record<string | number, unknown>>(
      (value, key) => value[key] as Record<string, unknown>,
      copy as unknown as Record<string, unknown>,
    );
  const [name, value] = isName ? [String(hostile), parent[last]] : [last, hostile];
  if (isName) delete parent[last];
  Object.defineProperty(parent, name, { value, enumerable: true, configurable: true });
  return copy;
}

/** Settings that are alike in every respect are tried once, and so are replicas. */
const ALIKE = ['max_connections', 'work_mem', 'log_line_prefix'];
const PLACES = listPlaces(createReport()).filter(({ path }) => {
  const [part, index] = path;
  const setting = path[path.indexOf('settings') + 1];
  const isAlike = path.includes('settings') && !ALIKE.includes(String(setting));
  return !isAlike && !(part === 'observations' && index === 2);
});

/** The Markdown of everything that shows what nodes said, and the lines of the log. */
function show({ observations, proof, failures, notes }: AnsibleResult): {
  markdown: string[];
  lines: string[];
} {
  const database = rollout(observations, REPORTED);
  const backups = summarizeBackups(observations, { ...REPORTED, snapshots: null });
  const [primary] = observations as readonly NodeObservation[];
  const plan = createPlanReport(createPlan([]), {
    database,
    backups,
    backupLoss: explainBackupLoss(observations, {
      steps: [{ kind: 'archive', nodes: ['node-1'], primary: 'node-1' }],
      desired: REPORTED,
    }),
    settings: {
      changes: primary?.postgres ? compareWithLive(primary, REPORTED) : [],
      source: 'live',
      node: primary?.name ?? null,
    },
    topology: buildTopologyChange({
      observed: observations,
      existing: [...REPORTED.nodes, ...REPORTED.leaving],
      zones: {},
      replaced: [],
      resized: [],
      fresh: [],
      database,
      desired: REPORTED,
    }),
    warnings: [
      ...notes.map(({ note }) => note),
      ...describeFaults(observations, { ...SYNCHRONOUS, storageAlertPercent: 1 }, new Date()),
      describeExceptions(observations, SYNCHRONOUS) ?? '',
    ],
  });
  const error = [...listFailures(failures), ...findProofProblems(proof, ASKED)].join('\n');
  const deploy = createDeployReport(
    { state: 'failed', phase: 'configuring', error, nextStep: 'Run it again.' },
    { proof, backups, steps: database.kind === 'steps' ? database.steps : [] },
  );
  return {
    markdown: [
      renderPlanComment(plan),
      renderPlanSummary(plan),
      renderDeployComment(deploy),
      renderDeploySummary(deploy),
    ],
    lines: database.kind === 'steps' ? listSteps(database.steps) : [],
  };
}

/** The variables that Ansible gets after that observation. */
function renderWork({ observations }: AnsibleResult): string {
  const database = rollout(observations, REPORTED);
  const steps =
    database.kind === 'steps' ? database.steps.filter((step) => !isTerraformStep(step)) : [];
  return renderVariables({
    desired: REPORTED,
    secrets: { postgresPassword: 'p', replicationPassword: 'r' },
    keys: { current: 'ssh-ed25519 AAAA', retired: [] },
    rollout: {
      primary: database.kind === 'steps' ? database.primary : 'node-1',
      steps,
      proofToken: 'token',
      image: pinImage(observations, REPORTED),
      collationLabel: { input: 'allow-collation-label', label: null, labels: null },
    },
  });
}

function checkRefusal(error: unknown, path: Path): void {
  expect(error).toBeInstanceOf(UserError);
  const [first = ''] = (error as UserError).problems;
  expect(first).toMatch(/^(node-\d|a node): /);
  // The field, or the list that contains it.
  expect(first).toContain(String(path.find((key) => typeof key === 'string')).replace(/s$/, ''));
  expect(first.length).toBeLessThan(600);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  expect(first).not.toMatch(/[\u0000-\u001f]/);
}

function checkData(report: AnsibleResult): void {
  expect(renderWork(report)).not.toMatch(/\{[{%#]/);
  const { markdown, lines } = show(report);
  for (const line of lines) expect(line).not.toMatch(/^\s*::|##\[|[\r\n\u2028\u2029]/);
  for (const text of markdown) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u2028\u2029\u202e\u2066]/);
    if (/evil|<script|onerror|# heading/.test(text)) {
      expect(renderMarkdown(text)).not.toMatch(/<img|<script|href="[^"]*evil|<h1|user-mention/);
    }
  }
}

function checkOne(place: { path: Path; isName: boolean }, hostile: unknown): 'refused' | 'data' {
  const json = JSON.stringify(bend(createReport(), place, hostile));
  let report: AnsibleResult;
  try {
    report = parseResult(json, { nodes: ASKED });
  } catch (error) {
    checkRefusal(error, place.path);
    return 'refused';
  }
  checkData(report);
  return 'data';
}

test('the example has a value in every field', () => {
  const fields = new Set(
    PLACES.map(({ path }) => path.filter((key) => typeof key === 'string').join('.')),
  );
  for (const field of [
    'observations.record.digest',
    'observations.control.lsn',
    'observations.postgres.history.switchLsn',
    'observations.postgres.senders.replayLsn',
    'observations.postgres.receiver.slotName',
    'observations.overrides.work_mem',
    'observations.backup.backups.label',
    'observations.files.pgbackrestConf',
    'observations.postgres.archiver.lastFailed',
    'observations.postgres.weakCommits.role',
    'proof.archiver.waiting',
    'proof.problem',
    'failures.log',
    'notes.note',
  ]) {
    expect(fields).toContain(field);
  }
});

describe('each hostile text in each field of an observation and a proof', () => {
  test.each(HOSTILE.map((hostile) => [JSON.stringify(hostile).slice(0, 60), hostile]))(
    '%s is refused by name or stays data',
    (_, hostile) => {
      for (const place of PLACES) checkOne(place, hostile);
    },
    300_000,
  );
});

test('a value that is not text is refused by name or stays data', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...PLACES),
      fc.oneof(fc.constantFrom(...OTHERS), fc.string({ unit: 'binary' }), fc.jsonValue()),
      (place, hostile) => {
        checkOne(place, hostile);
      },
    ),
    { numRuns: 400, seed: 17 },
  );
}, 300_000);

test.each([
  ['an image', ['observations', 1, 'record', 'image']],
  ['a digest', ['observations', 1, 'record', 'digest']],
  ['a position', ['observations', 0, 'postgres', 'lsn']],
  ['a slot', ['observations', 0, 'postgres', 'slots', 0, 'name']],
  ['a state', ['proof', 1, 'state']],
])('%s is never a template', (_, path) => {
  expect(checkOne({ path, isName: false }, HOSTILE[0])).toBe('refused');
});
