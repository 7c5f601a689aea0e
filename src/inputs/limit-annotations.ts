/** Annotations of one kind that GitHub shows of a step (GitHub docs, "Workflow commands": at most 10). */
const MAX_ANNOTATIONS = 10;

/** How a list of problems is told. */
export interface LimitedAnnotations {
  /** An annotation each. */
  readonly annotations: readonly string[];
  /** Lines for the log; none where the annotations say everything. */
  readonly lines: readonly string[];
}

/** Makes the most of the annotations that GitHub shows: all problems, or the first nine and how many more there are. */
export function limitAnnotations(problems: readonly string[]): LimitedAnnotations {
  if (problems.length <= MAX_ANNOTATIONS) return { annotations: problems, lines: [] };
  const first = problems.slice(0, MAX_ANNOTATIONS - 1);
  const more = problems.length - first.length;
  return {
    annotations: [...first, `… and ${more.toLocaleString('en')} more, see the log.`],
    lines: problems,
  };
}
