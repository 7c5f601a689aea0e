import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { runCommand, runDocker } from '../images/docker.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** A blob as a manifest names it: OCI image specification, "descriptor". */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Where to push: the registry's URL, and the image's name and tag there. */
export interface PushTarget {
  readonly registry: string;
  readonly name: string;
  readonly tag: string;
}

/**
 * Pushes an image of the local daemon and returns its digest (`sha256:…`). Unlike `docker push`, it does not compress the
 * layers: on one machine that would only cost time, once here and again on every node that pulls.
 */
export async function pushImage(image: string, target: PushTarget): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'lab-push-'));
  try {
    const archive = join(folder, 'image.tar');
    await runDocker(['save', '--output', archive, image]);
    await runCommand('tar', ['--extract', '--file', archive, '--directory', folder]);
    // Docker image specification v1.2, "combined image JSON + filesystem changeset format".
    const [saved] = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as {
      Config: string;
      Layers: string[];
    }[];
    if (!saved) throw new Error(`docker save has no image ${image}.`);
    const push = (file: string, mediaType: string) =>
      pushBlob(join(folder, file), { target, mediaType });
    const config = await push(saved.Config, CONFIG);
    const layers: Descriptor[] = [];
    for (const layer of saved.Layers) layers.push(await push(layer, LAYER));
    return await pushManifest({ schemaVersion: 2, mediaType: MANIFEST, config, layers }, target);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** OCI distribution specification, "POST then PUT"; a blob that the registry has is not sent. */
async function pushBlob(
  file: string,
  { target, mediaType }: { target: PushTarget; mediaType: string },
): Promise<Descriptor> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const descriptor = {
    mediaType,
    digest: `sha256:${hash.digest('hex')}`,
    size: statSync(file).size,
  };
  const blobs = `${target.registry}/v2/${target.name}/blobs`;
  if ((await fetch(`${blobs}/${descriptor.digest}`, { method: 'HEAD' })).ok) return descriptor;
  const begun = await fetch(`${blobs}/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? '', target.registry);
  location.searchParams.set('digest', descriptor.digest);
  await put(location, {
    body: Readable.toWeb(createReadStream(file)) as ReadableStream,
    duplex: 'half',
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': `${descriptor.size}`,
    },
  });
  return descriptor;
}

async function pushManifest(manifest: object, { registry, name, tag }: PushTarget) {
  const answer = await put(new URL(`/v2/${name}/manifests/${tag}`, registry), {
    body: JSON.stringify(manifest),
    headers: { 'content-type': MANIFEST },
  });
  return answer.headers.get('docker-content-digest') ?? '';
}

async function put(url: URL, init: RequestInit & { duplex?: 'half' }): Promise<Response> {
  const answer = await fetch(url, { ...init, method: 'PUT' });
  if (!answer.ok) {
    throw new Error(`The lab's registry answered ${answer.status}: ${await answer.text()}`);
  }
  return answer;
}
