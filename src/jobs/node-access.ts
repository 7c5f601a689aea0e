import { join } from 'node:path';
import * as core from '@actions/core';
import type { NodeAccess } from '../ansible/nodes.ts';
import type { Job } from './job.ts';

/** Returns what logging in to the nodes requires; null without a private key. */
export function buildNodeAccess(job: Job): NodeAccess | null {
  const { workspace, keys, inputs, actionRoot } = job;
  if (!keys || inputs.secrets.sshPrivateKey === '') return null;
  return {
    inputs,
    keys,
    directory: workspace.directory,
    temporary: workspace.temporary,
    lasting: workspace.lasting,
    playbooks: join(actionRoot, 'playbooks'),
    log: core.info,
  };
}
