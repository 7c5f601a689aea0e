import type { Check, CheckContent, CheckOutcome, CheckState, Checks } from '../github/check.ts';
import type { Forbidden } from '../github/client.ts';
import type { Run } from '../github/run-stamp.ts';
import { recordSection } from '../github/section-record.ts';
import { readMessage } from '../messages/errors.ts';
import { renderRedacted } from '../report/redact.ts';
import { warn } from '../runner/log-group.ts';

/** The visible part of a check run: a report and its renderers, which run after secrets are hidden in the report. */
export interface CheckView<Report> {
  readonly report: Report;
  /** One line without Markdown. */
  readonly title: (report: Report) => string;
  /** Markdown. */
  readonly summary: (report: Report) => string;
  /** Markdown of the cluster's section of a shared comment, if this is the last report of its run. */
  readonly section?: (report: Report) => string;
}

/** The run and the pull request of the sections that check runs record. */
export interface RecordedComment {
  readonly run: Run;
  /** Number of the pull request. */
  readonly number: number;
}

/** The subject of a cluster's check run. */
export type CheckKind = 'plan' | 'deploy';

type Content = CheckState & Pick<CheckContent, 'text' | 'externalId'>;

/** The check runs of one cluster. A check run that cannot be written or read is a warning. */
export class ClusterChecks {
  /** Tells the clusters of one repository apart. */
  readonly identity: string;
  readonly #checks: Checks;
  readonly #cluster: string;
  readonly #redact: (text: string) => string;
  #recorded: RecordedComment | null = null;

  constructor(options: {
    checks: Checks;
    /** Tells the clusters of one repository apart. */
    identity: string;
    /** Cluster name. */
    cluster: string;
    redact: (text: string) => string;
  }) {
    this.#checks = options.checks;
    this.identity = options.identity;
    this.#cluster = options.cluster;
    this.#redact = options.redact;
  }

  /** From now on, the check runs record the cluster's section of the shared comment on a pull request. */
  recordSections(comment: RecordedComment): void {
    this.#recorded = comment;
  }

  /** Returns the name of the check runs of a kind. */
  name(kind: CheckKind): string {
    return `PostgreSQL ${kind}: ${this.#cluster}`;
  }

  /** Whether a check run with this external id belongs to the cluster. */
  isOwn(externalId: string | null): boolean {
    return externalId?.startsWith(`${this.identity}:`) ?? false;
  }

  /**
   * Lists the cluster's check runs of a commit, newest first; null if the token may not read them, which `say` gets.
   */
  async list(
    kind: CheckKind,
    commit: string,
    say: (text: string) => void = warn,
  ): Promise<readonly Check[] | null> {
    const found = await this.#checks.find({ commit, name: this.name(kind) });
    if (found.outcome === 'forbidden') {
      say(
        `github-token: may not read check runs (${found.reason}). Give the job the permission checks: write.`,
      );
      return null;
    }
    return found.checks.filter(({ externalId }) => this.isOwn(externalId));
  }

  /** Creates a check run of `commit`; `failure` is the warning if that fails. */
  async create<Report>(
    kind: CheckKind,
    options: { commit: string; failure: string; view: CheckView<Report>; content: Content },
  ): Promise<{ id: number } | 'forbidden' | 'failed'> {
    const { commit, failure } = options;
    return this.#attempt(failure, () => this.#checks.create(commit, this.#describe(kind, options)));
  }

  /** Updates a check run; `failure` is the warning if that fails. */
  async update<Report>(
    kind: CheckKind,
    options: { id: number; failure: string; view: CheckView<Report>; content: Content },
  ): Promise<void> {
    const { id, failure } = options;
    await this.#attempt(failure, () => this.#checks.update(id, this.#describe(kind, options)));
  }

  #describe<Report>(
    kind: CheckKind,
    { view, content }: { view: CheckView<Report>; content: Content },
  ): CheckContent {
    const { report, title, summary, section } = view;
    const render = (renderer: (report: Report) => string) =>
      renderRedacted(report, { render: renderer, redact: this.#redact });
    const short = render(summary);
    const record = (body: string) =>
      this.#recorded && recordSection(body, { ...this.#recorded, identity: this.identity });
    const recorded = section && (record(render(section)) ?? record(short));
    return { ...content, name: this.name(kind), title: render(title), summary: recorded ?? short };
  }

  async #attempt(
    failure: string,
    work: () => Promise<CheckOutcome>,
  ): Promise<Exclude<CheckOutcome, Forbidden> | 'forbidden' | 'failed'> {
    try {
      const outcome = await work();
      if (outcome.outcome !== 'forbidden') return outcome;
      warn(
        `github-token: ${failure} (${outcome.reason}). Give the job the permission checks: write.`,
      );
      return 'forbidden';
    } catch (error) {
      warn(`${failure} (${readMessage(error)}).`);
      return 'failed';
    }
  }
}
