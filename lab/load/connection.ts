const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
]);
// Appendix A of the PostgreSQL manual: connection exceptions; shutdown, crash of another backend, not up yet.
const SERVER_CODES = /^(08...|57P0[123])$/;
const CLIENT_WORDS =
  /connection (terminated|ended|timeout)|timeout expired|read timeout|not queryable/i;

/** Whether an error only means that a server went away or does not exist. */
export function isLostConnection(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const word = typeof code === 'string' ? code : '';
  return (
    NETWORK_CODES.has(word) ||
    SERVER_CODES.test(word) ||
    (word === '' && typeof message === 'string' && CLIENT_WORDS.test(message))
  );
}

/** An error's message with its code. */
export function describeError(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? `${message} (${code})` : String(message ?? error);
}
