/** Hides the secrets in a text, whether it is raw or rendered. */
export type Redact = (text: string) => string;

/**
 * A report, or any part of one, without secrets: every text in it passes through `redact`, at any depth. All else
 * stays what it is. To be done before a report is rendered: a renderer cuts, encodes and splits what it is given, and
 * what is left of a secret then may not be recognised.
 */
export function redactReport<Report>(report: Report, redact: Redact): Report {
  return redactValue(report, redact) as Report;
}

function redactValue(value: unknown, redact: Redact): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((item) => redactValue(item, redact));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [redactKey(key, redact), redactValue(part, redact)]),
  );
}

/** A plain word is a field's name, or looks in Markdown as it does here. */
function redactKey(key: string, redact: Redact): string {
  return /^[A-Za-z]+$/.test(key) ? key : redact(key);
}

/**
 * Renders a report without secrets. They are taken out of its values first, and once more of the text: what was put
 * together in between may be one.
 */
export function renderRedacted<Report>(
  report: Report,
  { render, redact }: { render: (report: Report) => string; redact: Redact },
): string {
  return redact(render(redactReport(report, redact)));
}
