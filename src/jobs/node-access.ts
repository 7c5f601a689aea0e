import { join } from 'node:path';
import * as core from '@actions/core';
import type { NodeAccess } from '../ansible/nodes.ts';
import type { Route } from '../ansible/route.ts';
import { openTunnels } from '../tunnel/open-tunnels.ts';
import { connectEc2 } from './ec2-connection.ts';
import type { Job } from './job.ts';

/**
 * Returns what logging in to the nodes requires; null without a private key.
 *
 * @param endpointId the EC2 Instance Connect Endpoint in the state; null: the connections are direct. A pull request may
 *   ask for the other way, which the nodes do not have yet.
 */
export function buildNodeAccess(job: Job, endpointId: string | null): NodeAccess | null {
  const { workspace, keys, inputs, actionRoot } = job;
  if (!keys || inputs.secrets.sshPrivateKey === '') return null;
  return {
    inputs,
    keys,
    directory: workspace.directory,
    temporary: workspace.temporary,
    lasting: workspace.lasting,
    playbooks: join(actionRoot, 'playbooks'),
    route: chooseRoute(job, endpointId),
    log: core.info,
  };
}

function chooseRoute({ inputs, workspace, actionRoot }: Job, endpointId: string | null): Route {
  const { region, ssh } = inputs.spec;
  if (endpointId === null) return { kind: 'direct', address: ssh.address };
  return {
    kind: 'endpoint',
    endpointId,
    open: ({ waitSeconds }) =>
      openTunnels({
        endpointId,
        connection: connectEc2(region),
        program: join(actionRoot, 'dist', 'tunnel', 'index.js'),
        temporary: workspace.temporary,
        waitSeconds,
        log: core.info,
      }),
  };
}
