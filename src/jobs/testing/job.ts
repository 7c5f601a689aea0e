import { createSpec } from '../../cluster/testing/fixtures.ts';
import type { Inputs } from '../../inputs/inputs.ts';
import type { RunnerEnvironment } from '../../runner/environment.ts';
import type { Job } from '../job.ts';

/** The parts of a job that a test is about. */
interface JobParts extends Partial<Omit<Job, 'environment' | 'inputs' | 'workspace'>> {
  /** The directory of the workspace, and of its temporary and lasting files. */
  readonly folder?: string;
  readonly workspace?: Partial<Job['workspace']>;
  readonly environment?: Partial<RunnerEnvironment>;
  readonly inputs?: Partial<Omit<Inputs, 'secrets' | 'spec'>> & {
    readonly secrets?: Partial<Inputs['secrets']>;
    readonly spec?: Partial<Inputs['spec']>;
  };
}

const NO_SECRETS: Inputs['secrets'] = {
  postgresPassword: '',
  replicationPassword: '',
  registryUsername: '',
  registryPassword: '',
  sshPrivateKey: '',
  reviewKey: '',
  backupCipherKey: '',
  restoreCipherKey: '',
};

/** Builds a job of a push to `main`: no labels, no secrets, and the cluster of `createSpec`. */
export function createJob(parts: JobParts = {}): Job {
  const { folder = '/work', inputs = {}, environment = {}, workspace = {}, ...rest } = parts;
  return {
    actionRoot: '/action',
    keys: { current: 'ssh-ed25519 AAAA', retired: [] },
    environment: {
      event: { name: 'push', ref: 'refs/heads/main', sha: '', actor: '', payload: {} },
      repository: { owner: 'acme', repo: 'database' },
      apiUrl: 'https://api.github.com',
      run: { id: 20, attempt: 1 },
      runUrl: 'https://github.com/acme/database/actions/runs/20',
      actionRef: 'v1',
      docsUrl: null,
      workspace: folder,
      temporary: folder,
      ...environment,
    },
    workspace: { temporary: folder, lasting: folder, directory: folder, ...workspace },
    ...rest,
    inputs: {
      clusterFile: null,
      isRestoreNew: false,
      backend: null,
      workingDirectory: '.',
      sshUser: 'admin',
      sshPublicKey: null,
      fenced: null,
      replace: null,
      replaceVolume: false,
      discard: null,
      discardData: false,
      backupType: 'incremental',
      destroy: null,
      githubToken: '',
      allowDestroyLabel: null,
      allowCollationLabel: null,
      allowSlotLossLabel: null,
      allowPlanLabel: null,
      labelPrefix: 'db/',
      onPlanChange: 'fail',
      comment: 'own',
      storageAlertPercent: 80,
      waitMinutes: 60,
      terraformBinary: null,
      ...inputs,
      secrets: { ...NO_SECRETS, ...inputs.secrets },
      spec: createSpec(inputs.spec),
    },
  };
}
