import { quoteValue } from '../messages/quote-value.ts';

/** Bytes that a cluster file may have. A file with a thousand settings is smaller. */
export const MAX_FILE_BYTES = 64 * 1024;

/** A problem on a line of the file, counted from 1. */
export interface LineProblem {
  readonly line: number;
  readonly text: string;
}

/** Decodes the bytes of a cluster file: UTF-8 without byte-order mark, carriage returns and control characters. */
export function decodeText(bytes: Buffer): string | LineProblem {
  if (bytes.length > MAX_FILE_BYTES) {
    return { line: 1, text: explainSize(bytes.length) };
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { line: 1, text: 'not text in UTF-8. Save the file in that encoding.' };
  }
  if (text.startsWith('\uFEFF')) {
    return {
      line: 1,
      text: 'begins with a byte-order mark. Save the file as UTF-8 without one.',
    };
  }
  const odd = /\r|[^\P{Cc}\t\n]/u.exec(text);
  if (odd === null) return text;
  const line = text.slice(0, odd.index).split('\n').length;
  return odd[0] === '\r'
    ? {
        line,
        text: 'the line ends with a carriage return, as on Windows. Save the file with line feeds alone (in .gitattributes: *.yml text eol=lf).',
      }
    : { line, text: `${quoteValue(odd[0])} is a control character. Remove it.` };
}

/** Says that a file of this size is too large. */
export function explainSize(bytes: number): string {
  return `the file has ${bytes.toLocaleString('en')} bytes. Allowed: ${MAX_FILE_BYTES.toLocaleString('en')}. Is it the right file?`;
}
