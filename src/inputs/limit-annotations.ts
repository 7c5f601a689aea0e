/** The number of annotations of one kind that GitHub shows for a step (GitHub docs, "Workflow commands"). */
const MAX_ANNOTATIONS = 10;

/** Problems, divided between annotations and the log. */
export interface LimitedAnnotations {
  /** Texts of the annotations. */
  readonly annotations: readonly string[];
  /** Lines for the log; empty if the annotations have all problems. */
  readonly lines: readonly string[];
}

/** Fits problems into the annotations that GitHub shows: all of them, or the first nine and the number of the others. */
export function limitAnnotations(problems: readonly string[]): LimitedAnnotations {
  if (problems.length <= MAX_ANNOTATIONS) return { annotations: problems, lines: [] };
  const first = problems.slice(0, MAX_ANNOTATIONS - 1);
  const more = problems.length - first.length;
  return {
    annotations: [...first, `… and ${more.toLocaleString('en')} more, see the log.`],
    lines: problems,
  };
}
