/**
 * Hides secrets in the log like GitHub's runner: literally, and in the encodings in which
 * programs print them. (Its two PowerShell encodings are left out, as they have no use on Linux.)
 * Source: the runner's SecretMasker and ValueEncoders.
 */
export class Masker {
  readonly #values = new Set<string>();

  /** Hides a value from now on, and each of its lines. Blank values cannot be hidden. */
  add(secret: string): void {
    const lines = secret.split(/[\r\n]/).map((line) => line.trim());
    for (const value of [secret, ...lines]) {
      if (value.trim() === '') continue;
      for (const form of [value, ...encode(value)]) if (form !== '') this.#values.add(form);
    }
  }

  /** Returns the text with every secret replaced by `***`; adjacent secrets become one `***`. */
  mask(text: string): string {
    const ranges: { start: number; end: number }[] = [];
    for (const value of this.#values) {
      for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) {
        ranges.push({ start: at, end: at + value.length });
      }
    }
    ranges.sort((a, b) => a.start - b.start);
    let masked = '';
    let done = 0;
    for (const { start, end } of ranges) {
      if (end <= done) continue;
      if (start > done || done === 0) masked += `${text.slice(done, start)}***`;
      done = end;
    }
    return masked + text.slice(done);
  }
}

function encode(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8');
  return [
    // A secret inside a longer text starts at any of three positions of a base64 group.
    ...[0, 1, 2].map((shift) =>
      bytes.subarray(bytes.length > shift ? shift : 0).toString('base64'),
    ),
    value.replaceAll('"', '\\"'),
    value.replaceAll("'", "''"),
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value).replaceAll(/[!'()*]/g, encodeOctet),
    value.replaceAll(/[<>"'&]/g, (character) => xmlEntities[character] ?? character),
    value.length > 8 && /^".*"$/s.test(value) ? value.slice(1, -1) : '',
  ];
}

const xmlEntities: Record<string, string> = {
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '&': '&amp;',
};

function encodeOctet(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
