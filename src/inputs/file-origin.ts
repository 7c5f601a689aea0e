import type { ClusterFile } from './cluster-file.ts';
import type { ClusterKey } from './cluster-schema.ts';
import { type Combined, readOptionalFile } from './combine.ts';
import { type Description, readFileValues } from './description.ts';
import {
  keepMergeRules,
  listDifferingKeys,
  PLAN_USES,
  selectPlanValues,
} from './pull-request-keys.ts';
import type { StepInputs } from './step-inputs.ts';

/** The cluster file of a run. */
export interface FileInput {
  /** At the commit that the run is for. */
  readonly file: ClusterFile;
  readonly origin: FileOrigin;
}

/** Where a cluster file comes from, with the version of it that is trusted. */
export type FileOrigin =
  /** A pull request proposes it. `existing` is the default branch's file, or null. */
  | {
      readonly kind: 'proposed';
      /** Short name of the default branch. */
      readonly branch: string;
      readonly existing: ClusterFile | null;
    }
  /** A merge brought it. `before` is the file before the merge, or null. */
  | { readonly kind: 'merged'; readonly before: ClusterFile | null }
  /** It is the default branch's file. */
  | { readonly kind: 'default-branch' };

/** The values that a run may use of its file, and what messages say about the others. */
interface UsableDescription {
  readonly used: Combined;
  /** Name of the deciding file in messages. */
  readonly path: string;
  /** The end of every problem with it. */
  readonly remark: string;
  /** Whether the plan starts from an empty state instead of the backend's. */
  readonly blank: boolean;
  /** Whether it asks for a restore that the file before it did not. */
  readonly isRestoreNew: boolean;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

interface Sources {
  /** All sources with the whole file. */
  readonly whole: Combined;
  /** Combines the other sources with these values of the file. */
  readonly combine: (fileValues: Description) => Combined;
  readonly step: StepInputs;
}

/** Selects the usable values of a file by its origin; null if all of them are usable. */
export function selectUsable(
  { file, origin }: FileInput,
  sources: Sources,
): UsableDescription | null {
  switch (origin.kind) {
    case 'default-branch':
      return null;
    case 'merged':
      return selectMerged(file.path, origin.before, sources);
    case 'proposed':
      return selectProposed(file, origin, sources);
  }
}

function selectMerged(
  path: string,
  before: ClusterFile | null,
  { whole, combine }: Sources,
): UsableDescription {
  const earlier = combine(readOptionalFile(before));
  const description = keepMergeRules(whole.description, earlier.description);
  const kept = listDifferingKeys(whole.description, description);
  const notes =
    kept.length === 0
      ? []
      : [
          `${path}: ${kept.join(', ')} ${kept.length === 1 ? 'counts' : 'count'} from the next merge on. The rules from before a merge apply to it.`,
        ];
  return {
    used: { ...whole, description },
    ...{ path, remark: '', blank: false, problems: [], notes },
    isRestoreNew: before?.problems.length === 0 && asksAnew(description, earlier.description),
  };
}

function selectProposed(
  file: ClusterFile,
  { branch, existing }: Extract<FileOrigin, { kind: 'proposed' }>,
  { whole, combine, step }: Sources,
): UsableDescription {
  const { path } = file;
  const onBranch = `${path} on ${branch}`;
  const blank = existing === null && !('backend' in step.given);
  const used = combine(
    selectPlanValues(readFileValues(file), {
      existing: existing && readFileValues({ ...existing, path: onBranch }),
      blank,
    }),
  );
  // A blank plan uses no backend at all.
  const unused = listDifferingKeys(whole.description, used.description).filter(
    (key) => !(blank && PLAN_USES[key] === 'state'),
  );
  const notes = explainUnused({ path, branch, isNew: existing === null, blank, unused });
  if (existing === null) {
    return { used, path, remark: '', blank, isRestoreNew: false, problems: [], notes };
  }
  const [problem] = existing.problems;
  const earlier = combine(readOptionalFile(existing));
  return {
    used,
    path: onBranch,
    remark: ` It counts from ${branch} until this is merged. If this pull request corrects it, merge it; the next one is planned.`,
    blank,
    isRestoreNew: asksAnew(used.description, earlier.description),
    problems:
      problem === undefined
        ? []
        : [
            `${onBranch} cannot be read, so the values that a plan takes from there are unknown (${problem.slice(path.length + 1)}). Correct it on ${branch} first.`,
          ],
    notes,
  };
}

/** Whether `after` has a restore that `before` has not. */
const asksAnew = (after: Description, before: Description): boolean =>
  after.has('restore') && listDifferingKeys(after, before).includes('restore');

/** Says which values of the pull request a plan does not use. */
function explainUnused({
  path,
  branch,
  isNew,
  blank,
  unused,
}: {
  path: string;
  branch: string;
  isNew: boolean;
  blank: boolean;
  unused: readonly ClusterKey[];
}): string[] {
  const names = unused.join(', ');
  const isSingle = unused.length === 1;
  return [
    ...(blank
      ? [
          `${path} is new: ${branch} has no such file. The plan shows a new cluster and contacts no backend; the merge uses the backend that the file names, and stops if it finds anything there.`,
        ]
      : []),
    ...(unused.length === 0
      ? []
      : [
          isNew
            ? `${names} of ${path} will count once the file is merged. The plan does not use ${isSingle ? 'it' : 'them'}.`
            : `${names} ${isSingle ? 'has its value' : 'have their values'} from ${branch} in this plan, not from the pull request, since a plan may not contact or do what only a pull request says. The merge uses the new ${isSingle ? 'value' : 'values'}. If its plan differs from this one, it stops before anything changes.`,
        ]),
  ];
}
