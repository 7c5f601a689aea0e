import { randomBytes } from 'node:crypto';
import { imageNames } from '../images/catalogue.ts';
import { awaitService, ensureService, removeContainer, worldLabel } from '../images/container.ts';
import { runDocker } from '../images/docker.ts';
import { ensureImages } from '../images/images.ts';
import { ensureInternet, type Internet, nameInternet, removeInternet } from './network.ts';
import { pushImage } from './push.ts';

const imagePrefix = 'postgres-';

/** An image of the lab that its registry can serve. */
export type PostgresImage = Extract<(typeof imageNames)[number], `${typeof imagePrefix}${string}`>;

/** A tag of the image `postgres` in the lab's registry. */
export type PostgresTag = PostgresImage extends `${typeof imagePrefix}${infer Tag}` ? Tag : never;

/** Every tag of the image `postgres` that the lab can serve. */
export const postgresTags = imageNames
  .filter((name) => name.startsWith(imagePrefix))
  .map((name) => name.slice(imagePrefix.length)) as PostgresTag[];

/** Returns the lab's image for a tag, e.g. `postgres-17`. */
export function nameImage(tag: PostgresTag): PostgresImage {
  return `${imagePrefix}${tag}` as PostgresImage;
}

/**
 * A running registry. `mirror` is the URL for the hosts' `registry-mirrors`; `local` is its address on this
 * machine (host:port); `digests` has each tag's digest (`sha256:…`), for `docker pull postgres@…`.
 */
export type Registry = {
  mirror: string;
  local: string;
  network: string;
  digests: Record<string, string>;
};

/** The world, its internet, the tags to serve, and a callback for progress. */
export type RegistryOptions = Internet & {
  tags: readonly PostgresTag[];
  onProgress?: (line: string) => void;
};

type Manifest = { digest: string; config: string };

const manifestTypes = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
].join(', ');

function nameRegistry(world: string): string {
  return `pgca-${world}-registry`;
}

function namePrivateRegistry(world: string): string {
  return `${nameRegistry(world)}-private`;
}

/** Queries the registry for a tag: OCI distribution specification, "pulling manifests". */
async function findManifest(local: string, tag: string): Promise<Manifest | undefined> {
  const url = `http://${local}/v2/library/postgres/manifests/${tag}`;
  const answer = await fetch(url, { headers: { accept: manifestTypes } });
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`the lab registry answered ${answer.status} for postgres:${tag}`);
  const body = (await answer.json()) as { config: { digest: string } };
  return { digest: answer.headers.get('docker-content-digest') ?? '', config: body.config.digest };
}

async function pushTag(local: string, tag: string, image: string): Promise<string> {
  // Depending on its image store, Docker's id is the digest of the configuration or of the manifest.
  const id = await runDocker(['image', 'inspect', '--format', '{{.Id}}', image]);
  const present = await findManifest(local, tag);
  if (present && (present.config === id || present.digest === id)) return present.digest;
  return replaceTag(local, tag, image);
}

function replaceTag(local: string, tag: string, image: string): Promise<string> {
  return pushImage(image, { registry: `http://${local}`, name: 'library/postgres', tag });
}

/**
 * Moves a tag to the image of another tag, as upstream does with every minor release, and returns its new
 * digest. The next start of the registry moves it back.
 */
export async function moveTag(
  { local }: Registry,
  { tag, to }: { tag: PostgresTag; to: PostgresTag },
): Promise<string> {
  const name = nameImage(to);
  const { [name]: image } = await ensureImages({ only: [name] });
  return replaceTag(local, tag, image as string);
}

/**
 * Starts the registry of a world (or finds it running) at <prefix>.0.2:5000 on the world's internet, and
 * pushes the missing PostgreSQL images, which it builds first if necessary. It serves as a mirror of
 * Docker Hub, so hosts pull them as `postgres:<tag>`. The storage is a volume that outlives the container.
 */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { world, prefix = '10.99', tags, onProgress = () => {} } = options;
  const images = await ensureImages({ only: ['services', ...tags.map(nameImage)], onProgress });
  const network = await ensureInternet({ world, prefix });
  const name = nameRegistry(world);
  await makeStorage(world);
  const local = await ensureService({
    world,
    name,
    image: images.services,
    publish: 5000,
    flags: ['--network', network, '--ip', `${prefix}.0.2`, '--volume', `${name}:/var/lib/registry`],
    command: ['docker-registry', 'serve', '/etc/lab/registry.yml'],
  });
  await awaitService(name, `http://${local}/v2/`);
  const digests: Record<string, string> = {};
  await Promise.all(
    tags.map(async (tag) => {
      digests[tag] = await pushTag(local, tag, images[nameImage(tag)]);
      onProgress(`registry: postgres:${tag} is ${digests[tag]}`);
    }),
  );
  return { mirror: `http://${prefix}.0.2:5000`, local, network, digests };
}

/** Copies what a world's registry serves to that of another world, which must not have been started. */
export async function copyStorage({ from, to }: { from: string; to: string }): Promise<void> {
  const { services } = await ensureImages({ only: ['services'] });
  await makeStorage(to);
  await runDocker([
    ...['run', '--rm', '--label', `${worldLabel}=${to}`],
    ...['--volume', `${nameRegistry(from)}:/from:ro`, '--volume', `${nameRegistry(to)}:/to`],
    ...[services, 'cp', '--archive', '/from/.', '/to'],
  ]);
}

function makeStorage(world: string): Promise<string> {
  const label = `${worldLabel}=${world}`;
  return runDocker(['volume', 'create', '--label', label, nameRegistry(world)]);
}

/** Credentials of a world's private registry, and its images' name for hosts, e.g. `10.99.0.3:5000/library/postgres`. */
export type PrivateRegistry = {
  username: string;
  password: string;
  image: string;
};

/**
 * Starts a second registry of a world at <prefix>.0.3:5000: it serves the same images, but requires a login.
 */
export async function startPrivateRegistry({
  world,
  prefix = '10.99',
}: Internet): Promise<PrivateRegistry> {
  const { services } = await ensureImages({ only: ['services'] });
  const [username, password] = ['robot', randomBytes(12).toString('hex')];
  const name = namePrivateRegistry(world);
  await removeContainer(name);
  // Docker's registry accepts only bcrypt, which Perl's crypt(3) supports.
  const hash =
    'print "$ENV{LAB_USER}:", crypt($ENV{LAB_PASSWORD}, q($2b$05$abcdefghijklmnopqrstuu)), "\\n"';
  const serve = `perl -e '${hash}' > /run/htpasswd && exec docker-registry serve /etc/lab/registry.yml`;
  const environment = [
    `LAB_USER=${username}`,
    `LAB_PASSWORD=${password}`,
    'REGISTRY_AUTH=htpasswd',
    'REGISTRY_AUTH_HTPASSWD_REALM=lab',
    'REGISTRY_AUTH_HTPASSWD_PATH=/run/htpasswd',
  ];
  const address = `${prefix}.0.3`;
  const local = await ensureService({
    world,
    name,
    image: services,
    publish: 5000,
    flags: [
      ...['--network', nameInternet(world), '--ip', address],
      ...['--volume', `${nameRegistry(world)}:/var/lib/registry:ro`],
      ...environment.flatMap((entry) => ['--env', entry]),
    ],
    command: ['sh', '-c', serve],
  });
  const login = Buffer.from(`${username}:${password}`).toString('base64');
  await awaitService(name, `http://${local}/v2/`, { authorization: `Basic ${login}` });
  return { username, password, image: `${address}:5000/library/postgres` };
}

/** Stops the private registry of a world, if it exists. */
export async function stopPrivateRegistry(world: string): Promise<void> {
  await removeContainer(namePrivateRegistry(world));
}

/**
 * Stops the registry of a world, if it exists, and removes its storage unless that is kept for the next start;
 * also removes the world's internet if nothing else is connected to it.
 */
export async function stopRegistry(options: {
  world: string;
  keepStorage?: boolean;
}): Promise<void> {
  const name = nameRegistry(options.world);
  await stopPrivateRegistry(options.world);
  await removeContainer(name);
  if (!options.keepStorage) await runDocker(['volume', 'rm', '--force', name]);
  await removeInternet(options.world);
}
