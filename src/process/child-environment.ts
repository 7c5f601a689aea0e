/** Environment variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The programs that the action starts. */
export type Program = 'terraform' | 'ansible' | 'ssh';

/** The runner's variables that every program gets. */
const COMMON = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'TZ',
  // A Python or Terraform from an earlier step may need its own libraries.
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

/** Additional variables per program. */
const OWN: Readonly<Record<Program, readonly string[]>> = {
  terraform: [
    // Sources of providers; documented in docs/reference/compatibility.md.
    'TF_CLI_CONFIG_FILE',
    'TF_PLUGIN_CACHE_DIR',
  ],
  // The certificates are for the tunnel program that ssh starts.
  ansible: ['SSH_AUTH_SOCK', 'NODE_EXTRA_CA_CERTS'],
  ssh: ['SSH_AUTH_SOCK', 'NODE_EXTRA_CA_CERTS'],
};

/** AWS, for the provider, and the tokens of a private registry. */
const TERRAFORM = /^(AWS_|TF_TOKEN_)/;

/**
 * The variables from which a backend reads its credentials (Terraform's documentation, "Backends"). Variables that only
 * locate the state are omitted if the backend has settings for that.
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

/** Ansible requires an installed UTF-8 locale; every glibc in use has C.UTF-8. */
const LOCALE = 'C.UTF-8';

/**
 * Returns the part of the runner's environment that a program gets: the variables of AWS, proxies, certificates and ssh
 * agents. It excludes variables that control Terraform (`TF_WORKSPACE`, `TF_CLI_ARGS`, `TF_VAR_…`), Ansible, Python or
 * PostgreSQL's client, and all secrets of the step (`INPUT_…`) and of the runner (`ACTIONS_…`).
 *
 * @param options.backend Terraform's backend, for its credentials
 * @param options.temporary an existing folder for the program's temporary files
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
