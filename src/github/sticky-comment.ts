import { type GitHubClient, isForbidden, type Repository, readStatus } from './client.ts';

/** What became of a comment. */
export type CommentOutcome =
  | {
      readonly outcome: 'created' | 'updated' | 'unchanged';
      readonly id: number;
      readonly url: string;
    }
  /** The token may not comment here: a fork's pull request, missing permissions, a locked conversation. */
  | { readonly outcome: 'forbidden'; readonly reason: string };

/** Where a comment stands and which one it is. */
export interface CommentPlace {
  readonly repository: Repository;
  /** Number of the pull request or issue. */
  readonly number: number;
  /** Tells this comment from those of other clusters; letters, digits and `. _ : / -`. */
  readonly identity: string;
}

/** A comment as found. */
interface OwnComment {
  readonly id: number;
  readonly url: string;
  readonly body: string;
}

/** The hidden first line that a comment is found by. */
export function renderMarker(identity: string): string {
  if (!/^[\w.:/-]+$/.test(identity) || identity.includes('-->')) {
    throw new Error(
      `The comment identity ${JSON.stringify(identity)} cannot be hidden in a comment.`,
    );
  }
  return `<!-- postgres-cluster-action: ${identity} -->`;
}

/**
 * One comment of ours per place, written again and again. It is found by its marker *and* its author:
 * whoever copies the marker gets nothing edited.
 */
export class StickyComment {
  readonly #client: GitHubClient;
  readonly #place: CommentPlace;
  readonly #marker: string;
  #login: Promise<string> | undefined;
  #known: OwnComment | undefined;

  constructor(client: GitHubClient, place: CommentPlace) {
    this.#client = client;
    this.#place = place;
    this.#marker = renderMarker(place.identity);
  }

  /**
   * Makes the comment say `body` (Markdown without the marker), creating it where there is none and
   * leaving GitHub alone where it says so already.
   *
   * @throws the API's error for anything but a lack of permission
   */
  async write(body: string): Promise<CommentOutcome> {
    const text = `${this.#marker}\n${body}`;
    try {
      return await this.#put(text);
    } catch (error) {
      if (isForbidden(error)) return { outcome: 'forbidden', reason: error.message };
      throw error;
    }
  }

  async #put(text: string): Promise<CommentOutcome> {
    const found = this.#known ?? (await this.#findOne());
    if (found === undefined) return this.#create(text);
    if (isSame(found.body, text)) {
      this.#known = found;
      return { outcome: 'unchanged', id: found.id, url: found.url };
    }
    try {
      return await this.#update(found.id, text);
    } catch (error) {
      // Somebody deleted it since it was found.
      if (readStatus(error) !== 404 || this.#known === undefined) throw error;
      this.#known = undefined;
      return this.#put(text);
    }
  }

  async #create(text: string): Promise<CommentOutcome> {
    const { repository, number } = this.#place;
    const { data } = await this.#client.request(
      'POST /repos/{owner}/{repo}/issues/{issue_number}/comments',
      { ...repository, issue_number: number, body: text },
    );
    // A job that runs at the same time may have created one as well: the older one stays.
    const found = await this.#findOne();
    if (found !== undefined && found.id !== Number(data.id)) return this.#update(found.id, text);
    return this.#remember('created', data, text);
  }

  async #update(id: number, text: string): Promise<CommentOutcome> {
    const { data } = await this.#client.request(
      'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}',
      { ...this.#place.repository, comment_id: id, body: text },
    );
    return this.#remember('updated', data, text);
  }

  #remember(
    outcome: 'created' | 'updated',
    data: { id: number | bigint; html_url: string },
    body: string,
  ): CommentOutcome {
    const comment = { id: Number(data.id), url: data.html_url };
    this.#known = { ...comment, body };
    return { outcome, ...comment };
  }

  /** The oldest comment of ours; younger ones, left by jobs that ran at the same time, are removed. */
  async #findOne(): Promise<OwnComment | undefined> {
    const [oldest, ...others] = await this.#findAll();
    await Promise.all(others.map(({ id }) => this.#remove(id)));
    return oldest;
  }

  async #findAll(): Promise<OwnComment[]> {
    this.#login ??= this.#findLogin();
    const [login, comments] = await Promise.all([this.#login, this.#listMarked()]);
    return comments
      .filter(({ author }) => author === login)
      .sort((a, b) => a.id - b.id)
      .map(({ id, url, body }) => ({ id, url, body }));
  }

  /** Who the token is. `GET /user` refuses the tokens that jobs and apps get; this answers for all. */
  async #findLogin(): Promise<string> {
    const { viewer } = await this.#client.graphql<{ viewer: { login: string } }>(
      'query { viewer { login } }',
    );
    return viewer.login.toLowerCase();
  }

  async #listMarked(): Promise<(OwnComment & { author: string | undefined })[]> {
    const { repository, number } = this.#place;
    const marked: (OwnComment & { author: string | undefined })[] = [];
    for (let page = 1, last = false; !last; page++) {
      const { data, headers } = await this.#client.request(
        'GET /repos/{owner}/{repo}/issues/{issue_number}/comments',
        { ...repository, issue_number: number, per_page: 100, page },
      );
      for (const { id, html_url: url, body = '', user } of data) {
        if (!body.startsWith(this.#marker)) continue;
        marked.push({ id: Number(id), url, body, author: user?.login.toLowerCase() });
      }
      last = !headers.link?.includes('rel="next"');
    }
    return marked;
  }

  async #remove(id: number): Promise<void> {
    try {
      await this.#client.request('DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}', {
        ...this.#place.repository,
        comment_id: id,
      });
    } catch (error) {
      // The other job removed it first.
      if (readStatus(error) !== 404) throw error;
    }
  }
}

/** GitHub gives line ends back as they were last written, by API or by browser. */
function isSame(a: string, b: string): boolean {
  const normalize = (text: string) => text.replaceAll('\r\n', '\n').trimEnd();
  return normalize(a) === normalize(b);
}
