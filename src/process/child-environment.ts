/** Environment variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The programs that the action starts. */
export type Program = 'terraform' | 'ansible' | 'ssh';

/** What every program gets of the runner's variables. */
const COMMON = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'TZ',
  // A Python or Terraform that was set up by an earlier step may need libraries of its own.
  'LD_LIBRARY_PATH',
  'http_proxy',
  'https_proxy',
  'all_proxy',
  'no_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'NO_PROXY',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
];

/** What a program gets besides. */
const OWN: Readonly<Record<Program, readonly string[]>> = {
  terraform: [
    // Where providers come from; documented in docs/review.md.
    'TF_CLI_CONFIG_FILE',
    'TF_PLUGIN_CACHE_DIR',
  ],
  ansible: ['SSH_AUTH_SOCK'],
  ssh: ['SSH_AUTH_SOCK'],
};

/** AWS, for the provider, and the tokens of a private registry. */
const TERRAFORM = /^(AWS_|TF_TOKEN_)/;

/**
 * The variables that a backend reads its credentials from (Terraform's documentation, "Backends"). Variables that only
 * say where the state lies are left out where a backend has settings for that.
 */
const BACKENDS: ReadonlyMap<string, RegExp> = new Map([
  ['azurerm', /^(ARM|AZURE)_/],
  ['consul', /^CONSUL_/],
  ['cos', /^TENCENTCLOUD_/],
  ['gcs', /^(GOOGLE|GCLOUD|CLOUDSDK)_/],
  ['http', /^TF_HTTP_(USERNAME|PASSWORD|CLIENT_\w+)$/],
  ['kubernetes', /^KUBE_/],
  ['oss', /^(ALICLOUD|ALIBABA_CLOUD)_/],
  ['pg', /^(PG_CONN_STR|PGHOST|PGPORT|PGDATABASE|PGUSER|PGPASSWORD|PGPASSFILE|PGSSL\w+)$/],
]);

/** Ansible refuses to start in a locale that is not UTF-8 or not installed; C.UTF-8 is part of every glibc in use. */
const LOCALE = 'C.UTF-8';

/**
 * Chooses what a program gets of the runner's environment: what AWS, proxies, certificates and ssh agents need. What
 * steers Terraform (`TF_WORKSPACE`, `TF_CLI_ARGS`, `TF_VAR_…`), Ansible, Python or PostgreSQL's client stays out, and so
 * does every secret of the step (`INPUT_…`) and of the runner (`ACTIONS_…`).
 *
 * @param options.backend Terraform's backend, for the variables that it reads its credentials from
 * @param options.temporary a folder that exists, for the program's temporary files
 */
export function chooseEnvironment(
  inherited: Environment,
  options: { program: Program; backend?: string; temporary?: string },
): Record<string, string> {
  const { program, backend = '', temporary } = options;
  const names = new Set([...COMMON, ...OWN[program]]);
  const patterns = program === 'terraform' ? [TERRAFORM, BACKENDS.get(backend)] : [];
  const isChosen = (name: string) =>
    names.has(name) || patterns.some((pattern) => pattern?.test(name));
  const chosen = Object.entries(inherited).flatMap(([name, value]) =>
    value !== undefined && isChosen(name) ? [[name, value] as const] : [],
  );
  return {
    ...Object.fromEntries(chosen),
    LANG: LOCALE,
    LC_ALL: LOCALE,
    ...(temporary !== undefined && { TMPDIR: temporary }),
  };
}
