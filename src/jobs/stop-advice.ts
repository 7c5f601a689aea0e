import { UserError } from '../messages/errors.ts';

/** Adds to the failure of a stage that stops or starts these nodes their state and the ways out. */
export async function withStopAdvice(
  nodes: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError([describeStop(nodes, error.message), ...error.problems], { cause: error });
  }
}

function describeStop(nodes: readonly string[], message: string): string {
  const names = nodes.join(', ');
  const [instances, it] = nodes.length === 1 ? ['instance', 'it'] : ['instances', 'them'];
  const again = `The data volume is untouched. Run this job again later: it starts ${it} and continues from there`;
  return message.includes('InsufficientInstanceCapacity')
    ? `${names}: EC2 has no capacity for this instance type in the zone now, so the ${instances} of ${names} stayed stopped. ${again}. Or merge a pull request with another instance-type, or one that restores the old type; either way the instance is changed and started.`
    : `${names}: the ${instances} may be stopped now. ${again}.`;
}
