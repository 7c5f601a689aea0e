/** The contexts that an expression may name, by their first word. */
export type Contexts = Readonly<Record<string, unknown>>;

/** How the steps so far went. */
export type Status = 'success' | 'failure' | 'cancelled';

/**
 * Replaces `${{ context.name }}` in a default value. What does not exist becomes an empty text.
 * @param text the default as action.yml has it
 * @param contexts what may be named, e.g. `{ github: {...}, runner: {...} }`
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
 * Decides a `post-if` of status functions, combined with `!`, `&&` and `||`.
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
