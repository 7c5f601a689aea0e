import type { Context } from '../resource.ts';

/** What an operation knows besides its parameters. */
export interface QueryContext extends Context {
  /** The address to which the DNS names of Instance Connect Endpoints lead; without one the names are AWS's. */
  readonly tunnels?: string;
}

/** A value in an answer: its element is left out if it is undefined. */
export type Xml =
  | string
  | number
  | boolean
  | undefined
  | readonly Xml[]
  | { readonly [name: string]: Xml };

/** An operation of the EC2 Query API: request parameters in, the content of the answer out. */
export type Action = (
  parameters: URLSearchParams,
  context: QueryContext,
) => Promise<{ [name: string]: Xml }>;

/** Reads a list of the request: `VolumeId.1`, `VolumeId.2`, … */
export function readList(parameters: URLSearchParams, name: string): string[] {
  return [...parameters]
    .filter(([key]) => new RegExp(`^${name}\\.\\d+$`).test(key))
    .map(([, value]) => value);
}

/** Reads the filters of the request: `Filter.1.Name`, `Filter.1.Value.1`, … */
export function readFilters(parameters: URLSearchParams): { name: string; values: string[] }[] {
  return [...parameters]
    .filter(([key]) => /^Filter\.\d+\.Name$/.test(key))
    .map(([key, name]) => ({
      name,
      values: readList(parameters, key.replace('Name', 'Value').replaceAll('.', '\\.')),
    }));
}
