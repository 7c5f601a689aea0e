import type { Policy } from './statements.ts';

/** A request as IAM sees it. */
export interface Request {
  /** `ec2:RunInstances` */
  readonly action: string;
  /** ARN of what it concerns; `*` if the action knows no resources. */
  readonly resource: string;
  /** Condition keys and their values. */
  readonly context?: { readonly [key: string]: string | readonly string[] };
}

type Values = readonly string[];
type Compare = (asked: string, allowed: string) => boolean;

const matches: Compare = (asked, allowed) => {
  const pattern = allowed.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(asked);
};
const equals: Compare = (asked, allowed) => asked === allowed;

const COMPARE: { readonly [operator: string]: Compare } = {
  // The patterns here have no colon in the place of a wildcard.
  ArnLike: matches,
  Bool: equals,
  StringEquals: equals,
  StringLike: matches,
  StringNotEquals: (asked, allowed) => asked !== allowed,
  NumericEquals: (asked, allowed) => Number(asked) === Number(allowed),
  NumericLessThanEquals: (asked, allowed) => Number(asked) <= Number(allowed),
};

/**
 * Whether one operator of a condition holds for one key (IAM User Guide, "IAM JSON policy elements: Condition operators").
 * Throws for an operator that the policies do not use.
 */
export function holds(operator: string, allowed: Values, asked: Values | undefined): boolean {
  if (operator === 'Null') return allowed[0] === String(asked === undefined);
  const forAll = operator.startsWith('ForAllValues:');
  const ifExists = operator.endsWith('IfExists');
  const compare = COMPARE[operator.replace(/^For(All|Any)Values?:/, '').replace(/IfExists$/, '')];
  if (compare === undefined) throw new Error(`The evaluator does not know ${operator}.`);
  if (asked === undefined) return forAll || ifExists;
  // Several values of a policy are alternatives; of a negated operator, exclusions.
  const isNegated = operator.includes('Not');
  const fits = (one: string) =>
    isNegated
      ? allowed.every((other) => compare(one, other))
      : allowed.some((other) => compare(one, other));
  return operator.startsWith('ForAnyValue:') ? asked.some(fits) : asked.every(fits);
}

const list = (value: string | Values | undefined): Values | undefined =>
  typeof value === 'string' ? [value] : value;

/** Whether one of the policies allows a request (there are no denials in them). */
export function isAllowed(policies: readonly Policy[], request: Request): boolean {
  const context = request.context ?? {};
  return policies
    .flatMap(({ Statement }) => Statement)
    .some(
      ({ Action, Resource, Condition = {} }) =>
        Action.some((one) => matches(request.action, one)) &&
        Resource.some((one) => matches(request.resource, one)) &&
        Object.entries(Condition).every(([operator, keys]) =>
          Object.entries(keys).every(([key, value]) =>
            holds(operator, list(value) ?? [], list(context[key])),
          ),
        ),
    );
}
