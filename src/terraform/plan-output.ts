/** First lines of a rendered plan, in Terraform's and OpenTofu's words (`internal/command/jsonformat/plan.go`). */
const STARTS: readonly RegExp[] = [
  /^Note: Objects have changed outside of \w+$/,
  /^Note: This is a partial plan, /,
  /^No (?:current )?changes\. /,
  /^\w+ used the selected providers to generate the following execution/,
  /^\w+ will perform the following actions:$/,
  /^Changes to Outputs:$/,
];

/** What is printed for each object while it is read, before the plan (`internal/command/views/hook_ui.go`). */
const PROGRESS =
  /^\S.*: (?:Refreshing state\.\.\.|Reading\.\.\.|Still reading\.\.\.|Read complete after )/;

/**
 * What follows the plan: warnings, and a lock that takes long to release. The lines of a plan that contain values are
 * indented, so none of them looks like this.
 */
const END = /^(?:Warning: |Releasing state lock\. )/;

/**
 * Returns the plan in what `plan -no-color` printed, as `show -no-color` prints it: without the progress before it and
 * the warnings after it. Null if no line is a known beginning of a plan.
 */
export function extractPlanText(output: string): string | null {
  const lines = output.split('\n');
  const read = lines.findLastIndex((line) => PROGRESS.test(line));
  const start = lines.findIndex(
    (line, index) => index > read && STARTS.some((known) => known.test(line)),
  );
  if (start === -1) return null;
  const length = lines.slice(start).findIndex((line) => END.test(line));
  const plan = lines.slice(start, length === -1 ? undefined : start + length);
  return `${plan.join('\n').trimEnd()}\n`;
}
