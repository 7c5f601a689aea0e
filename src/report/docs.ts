import type { RunInfo } from './footer.ts';
import { renderLink } from './markdown.ts';

/** The pages that reports link to, below the folder `docs` of the action's repository. */
export const PAGES = {
  backups: 'how-to/back-up-and-restore.md',
  connect: 'how-to/connect.md',
  costs: 'explanation/costs.md',
  restore: 'how-to/back-up-and-restore.md#restore',
  review: 'explanation/review.md',
  troubleshooting: 'how-to/troubleshooting.md',
} as const;

/** Renders a link to a page of the release that runs; '' if the action's repository is not known. */
export function renderDocs(label: string, { docs }: RunInfo, page: keyof typeof PAGES): string {
  return docs === null ? '' : renderLink(label, `${docs}/${PAGES[page]}`);
}
