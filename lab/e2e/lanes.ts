/** How many test files run at a time. Most of the time each waits: for a server to start, for a change to settle. */
export const LANES = 2;

/** A world's name and addresses, which the test files of one lane use one after the other and no other lane does. */
export interface Lane {
  readonly world: string;
  /** First two bytes of the network that public addresses come from. */
  readonly prefix: string;
  /** The network of the VPC that the templates make; null leaves it at their default. */
  readonly vpcCidr: string | null;
}

/** `LAB_LANE=3`: this run has one lane, the third, so that checkouts beside each other can each have their own. */
const ONLY = process.env.LAB_LANE;

/** The lanes, the first with the addresses that worlds have unless told otherwise. */
export const ALL_LANES: readonly Lane[] =
  ONLY === undefined
    ? Array.from({ length: LANES }, (_, index) => createLane(index))
    : [createLane(Number(ONLY) - 1)];

function createLane(index: number): Lane {
  return {
    world: `e2e-${index + 1}`,
    prefix: `10.${99 - index}`,
    vpcCidr: index === 0 ? null : `10.${44 + index}.0.0/16`,
  };
}
