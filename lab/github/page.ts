import { makeInvalid } from './problem.ts';

/** One page of a list and the header that links to the others. */
export interface Page<T> {
  readonly items: T[];
  readonly link: string | undefined;
}

/**
 * Splits a list into pages as GitHub does: `per_page` 30 by default, at most 100, `page` from 1.
 * @param items the whole list in its order
 * @param url the address of the request, with its query; the links repeat it
 * @returns the requested page; `link` is undefined if one page contains everything
 * @throws Problem 422 if `per_page` or `page` is not a number
 * Source: docs.github.com, "Using pagination in the REST API".
 */
export function cutPage<T>(items: T[], url: URL): Page<T> {
  const size = Math.min(readNumber(url, 'per_page', 30), 100);
  const page = readNumber(url, 'page', 1);
  const last = Math.max(1, Math.ceil(items.length / size));
  const links: string[] = [];
  const add = (rel: string, number: number): void => {
    const target = new URL(url);
    target.searchParams.set('page', String(number));
    links.push(`<${target.href}>; rel="${rel}"`);
  };
  if (page > 1) add('prev', Math.min(page - 1, last));
  if (page < last) add('next', page + 1);
  if (page < last) add('last', last);
  if (page > 1) add('first', 1);
  return {
    items: items.slice((page - 1) * size, page * size),
    link: links.length === 0 ? undefined : links.join(', '),
  };
}

function readNumber(url: URL, name: string, otherwise: number): number {
  const text = url.searchParams.get(name);
  if (text === null || text === '') return otherwise;
  if (!/^\d+$/.test(text)) {
    throw makeInvalid([{ resource: 'Request', code: 'invalid', field: name }]);
  }
  return Math.max(1, Number(text));
}
