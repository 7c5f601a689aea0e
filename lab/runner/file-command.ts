/**
 * Reads what an action wrote to the file of GITHUB_OUTPUT, GITHUB_ENV or GITHUB_STATE:
 * `name=value` lines, and `name<<delimiter` blocks that end with the delimiter alone on a line.
 * @param text the file's content
 * @returns name and value in the order of the file
 * @throws Error with the message of GitHub's runner if the text has another form
 * Source: the runner's EnvFileKeyValuePairs.
 */
export function parsePairs(text: string): [string, string][] {
  const pairs: [string, string][] = [];
  const lines = text.split('\n');
  // A final line end does not begin another line.
  const complete = lines.at(-1) === '';
  if (complete) lines.pop();
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    if (line === '') continue;
    const equals = line.indexOf('=');
    const block = line.indexOf('<<');
    if (equals >= 0 && (block < 0 || equals < block)) {
      pairs.push([line.slice(0, equals), line.slice(equals + 1)]);
      continue;
    }
    if (block < 0) throw new Error(`Invalid format '${line}'`);
    const name = line.slice(0, block);
    const delimiter = line.slice(block + 2);
    if (name === '' || delimiter === '') {
      throw new Error(
        `Invalid format '${line}'. Name must not be empty and delimiter must not be empty`,
      );
    }
    const end = lines.indexOf(delimiter, index + 1);
    if (end < 0) throw new Error(`Invalid value. Matching delimiter not found '${delimiter}'`);
    pairs.push([name, lines.slice(index + 1, end).join('\n')]);
    index = end;
  }
  return pairs;
}
