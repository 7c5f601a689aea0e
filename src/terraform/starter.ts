/** The resource that starts a stopped instance, for one stage. */
export const STARTER_RESOURCE = 'aws_ec2_instance_state.started';

/** Whether a resource is such a starter. */
export function isStarter({ type, name }: { type: string; name: string }): boolean {
  return `${type}.${name}` === STARTER_RESOURCE;
}

/** Whether a change only removes a starter from the state, which affects no instance. */
export function isStarterRemoval(change: { type: string; name: string; action: string }): boolean {
  return isStarter(change) && change.action === 'delete';
}
