import type { NodeProof } from '../cluster/proof.ts';
import { formatBytes, renderCode, renderTable, renderText } from './markdown.ts';

/** What the nodes answered when replication was put to the test, as a table; Markdown. */
export function renderProof(proof: readonly NodeProof[]): string {
  const rows = proof.map((node) => [
    renderCode(node.name),
    node.role === 'primary' ? '**primary**' : 'replica',
    renderCode(node.address),
    renderText(node.state),
    `${node.timeline ?? '–'}`,
    renderLag(node),
    node.tokenRead ? '✅' : '❌',
  ]);
  const problems = proof.flatMap(({ name, problem }) =>
    problem === null ? [] : [`- ❌ ${renderCode(name)}: ${renderText(problem)}`],
  );
  const table = renderTable(
    ['node', 'role', 'address', 'state', 'timeline', 'lag', 'test row'],
    rows,
  );
  return problems.length === 0 ? table : `${table}\n\n${problems.join('\n')}`;
}

/** `0 B`, `1.5 MiB · 2.0 s`; a dash where there is none to have. */
function renderLag({ lagBytes, lagSeconds }: NodeProof): string {
  if (lagBytes === null) return '–';
  return lagSeconds === null || lagSeconds < 0.1
    ? formatBytes(lagBytes)
    : `${formatBytes(lagBytes)} · ${lagSeconds.toFixed(1)} s`;
}
