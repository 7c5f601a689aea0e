import { describe, expect, test } from 'vitest';
import { chooseEnvironment, type Program } from './child-environment.ts';

/** Which of these variables a program gets. */
function choose(program: Program, names: readonly string[], backend?: string): string[] {
  const inherited = Object.fromEntries(names.map((name) => [name, 'value']));
  const chosen = chooseEnvironment(inherited, { program, ...(backend && { backend }) });
  return Object.keys(chosen).filter((name) => !['LANG', 'LC_ALL'].includes(name));
}

const PROGRAMS: readonly Program[] = ['terraform', 'ansible', 'ssh'];

describe('a program gets', () => {
  test.each(PROGRAMS)('the variables of proxies and certificates: %s', (program) => {
    const names = ['PATH', 'HOME', 'https_proxy', 'NO_PROXY', 'SSL_CERT_FILE'];
    expect(choose(program, names)).toEqual(names);
  });

  test('the variables of AWS and of a private registry: only Terraform', () => {
    const names = ['AWS_ACCESS_KEY_ID', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'TF_TOKEN_registry_example'];
    expect(PROGRAMS.map((program) => choose(program, names))).toEqual([names, [], []]);
  });

  test('the ssh agent: programs that log in', () => {
    const names = ['SSH_AUTH_SOCK'];
    expect(PROGRAMS.map((program) => choose(program, names))).toEqual([[], names, names]);
  });

  test.each([
    ['pg', ['PG_CONN_STR', 'PGPASSWORD']],
    ['gcs', ['GOOGLE_CREDENTIALS']],
    ['azurerm', ['ARM_CLIENT_SECRET']],
    ['http', ['TF_HTTP_PASSWORD']],
    ['consul', ['CONSUL_HTTP_TOKEN']],
  ])('the credentials of its backend, and of no other: %s', (backend, names) => {
    expect(choose('terraform', names, backend)).toEqual(names);
    expect(choose('terraform', names, 's3')).toEqual([]);
  });

  test('an installed UTF-8 locale and a folder for temporary files', () => {
    const inherited = { LC_ALL: 'C', LANG: 'de_AT.UTF-8', LANGUAGE: 'de', TMPDIR: '/nowhere' };
    expect(chooseEnvironment(inherited, { program: 'ansible', temporary: '/tmp/a' })).toEqual({
      LANG: 'C.UTF-8',
      LC_ALL: 'C.UTF-8',
      TMPDIR: '/tmp/a',
    });
  });
});

describe('no program gets', () => {
  test.each([
    ['secrets of the step', ['INPUT_SSH-PRIVATE-KEY', 'INPUT_POSTGRES-PASSWORD']],
    ['what the runner authenticates with', ['ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'GITHUB_TOKEN']],
    ['the files of workflow commands', ['GITHUB_ENV', 'GITHUB_OUTPUT', 'GITHUB_PATH']],
    [
      'what steers Terraform',
      ['TF_WORKSPACE', 'TF_CLI_ARGS', 'TF_CLI_ARGS_plan', 'TF_VAR_region', 'TF_REATTACH_PROVIDERS'],
    ],
    ['where Terraform keeps its data and log', ['TF_DATA_DIR', 'TF_LOG', 'TF_LOG_PATH']],
    ['where a state lies', ['TF_HTTP_ADDRESS']],
    ['what steers Ansible', ['ANSIBLE_STDOUT_CALLBACK', 'ANSIBLE_CONFIG', 'ANSIBLE_LIBRARY']],
    ['what steers Python', ['PYTHONPATH', 'PYTHONSTARTUP', 'PYTHONHOME']],
    ['what steers PostgreSQL’s client', ['PGOPTIONS', 'PGSERVICE']],
    ['what steers a shell or a loader', ['BASH_ENV', 'ENV', 'LD_PRELOAD', 'NODE_OPTIONS']],
  ])('%s', (_, names) => {
    for (const program of PROGRAMS) {
      for (const backend of ['s3', 'http', 'pg'])
        expect(choose(program, names, backend)).toEqual([]);
    }
  });
});
