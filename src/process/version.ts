/** Compares dotted versions numerically, without pre-release suffixes. Returns a negative number if `a` is older. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map(
    (version) => version.split('-')[0]?.split('.').map(Number) ?? [],
  );
  for (let index = 0; index < 3; index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
