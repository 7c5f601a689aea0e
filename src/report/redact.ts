/** Hides the secrets in a raw or rendered text. */
export type Redact = (text: string) => string;

/**
 * Returns a report, or a part of one, without secrets: every text in it passes through `redact`, at any depth. Redact
 * before you render: renderers cut, encode and split texts, and the rest of a secret may no longer be recognised.
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

/** A plain word is the name of a field, or looks the same in Markdown. */
function redactKey(key: string, redact: Redact): string {
  return /^[A-Za-z]+$/.test(key) ? key : redact(key);
}

/**
 * Renders a report without secrets. They are removed from its values first and then from the text, as rendering may
 * join parts to a secret.
 */
export function renderRedacted<Report>(
  report: Report,
  { render, redact }: { render: (report: Report) => string; redact: Redact },
): string {
  return redact(render(redactReport(report, redact)));
}
