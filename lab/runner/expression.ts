/** The contexts that an expression may use, by their first word. */
export type Contexts = Readonly<Record<string, unknown>>;

/** The status of the steps so far. */
export type Status = 'success' | 'failure' | 'cancelled';

/**
 * Replaces `${{ context.name }}` in a default value. Unknown names become an empty text.
 * @param text the default value in action.yml
 * @param contexts the available contexts, e.g. `{ github: {...}, runner: {...} }`
 * @throws Error for anything but a plain path, and for a context that defaults cannot see
 * Source: docs.github.com, "Contexts reference".
 */
export function evaluateText(text: string, contexts: Contexts): string {
  return text.replaceAll(/\$\{\{(.*?)\}\}/gs, (whole, body: string) => {
    const path = body.trim();
    if (!/^[a-z_][\w-]*(\.[a-z_][\w-]*)+$/i.test(path)) {
      throw new Error(`${whole}: the lab evaluates plain paths such as github.token only.`);
    }
    const [first = '', ...rest] = path.split('.');
    const context = readMember(contexts, first);
    if (context === undefined) throw new Error(`Unrecognized named-value: '${first}' in ${whole}.`);
    const value = rest.reduce(readMember, context);
    if (value === undefined || value === null) return '';
    if (typeof value === 'object') throw new Error(`${whole} is an object, not a text.`);
    return String(value);
  });
}

// Names are not case-sensitive in expressions.
function readMember(object: unknown, name: string): unknown {
  if (typeof object !== 'object' || object === null) return undefined;
  const key = Object.keys(object).find((own) => own.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : (object as Record<string, unknown>)[key];
}

/**
 * Evaluates a `post-if` of status functions, combined with `!`, `&&` and `||`.
 * @throws Error for anything else
 */
export function evaluateCondition(condition: string, status: Status): boolean {
  const values: Record<string, boolean> = {
    'always()': true,
    'success()': status === 'success',
    'failure()': status === 'failure',
    'cancelled()': status === 'cancelled',
  };
  const decide = (term: string): boolean => {
    const text = term.trim();
    if (text.startsWith('!')) return !decide(text.slice(1));
    const value = values[text];
    if (value === undefined) {
      throw new Error(
        `post-if ${JSON.stringify(condition)}: the lab evaluates status functions only.`,
      );
    }
    return value;
  };
  const inner = condition.trim().replace(/^\$\{\{(.*)\}\}$/s, '$1');
  return inner.split('||').some((part) => part.split('&&').every(decide));
}
