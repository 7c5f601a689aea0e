/** How many test files run in parallel on two cores: each waits half of the time, for a server to start or a change to settle. */
export const LANES = 3;

/** A world's name and addresses; the test files of one lane use them one after the other, other lanes never. */
export interface Lane {
  readonly world: string;
  /** First two bytes of the network of public addresses. */
  readonly prefix: string;
  /** The network of the templates' VPC; a rehearsal has the one beside it. */
  readonly vpcCidr: string;
}

/** `LAB_LANE=4`: this run uses only the fourth lane, so that several checkouts can run at once. */
const ONLY_LANE = process.env.LAB_LANE;

/** The lanes. None has the addresses of the demo, which may be up beside the tests, or of the worlds of single files. */
export const ALL_LANES: readonly Lane[] =
  ONLY_LANE === undefined
    ? Array.from({ length: LANES }, (_, index) => createLane(index))
    : [createLane(Number(ONLY_LANE) - 1)];

function createLane(index: number): Lane {
  return {
    world: `e2e-${index + 1}`,
    prefix: `10.${94 - index}`,
    vpcCidr: `10.${46 + 2 * index}.0.0/16`,
  };
}
