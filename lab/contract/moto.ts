import { awaitService, ensureService, removeContainer } from '../images/container.ts';
import { ensureImages } from '../images/images.ts';
import { type Front, startFront } from './front.ts';
import { renderZone } from './route53.ts';

/** EC2 as moto serves it, in a container of its own. */
export interface Moto {
  /** For Terraform's process. */
  readonly environment: Readonly<Record<string, string>>;
  readonly front: Front;
  /** Calls EC2 behind Terraform's back; these calls are not recorded. Returns the answer's XML. */
  call(action: string, parameters?: Readonly<Record<string, string>>): Promise<string>;
  /** Makes a private zone of Route 53, with the id of ZONE_ID. */
  makeZone(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** The region of the contract: three zones in the lab's catalogue as in moto's. */
export const REGION = 'eu-west-1';

const DEBIAN = '136693071363';

/** The builds of Debian 13 that moto offers, oldest first. */
export const BUILDS = ['20250814-2204', '20251006-2257'] as const;

/** The id of a build's image, for x86_64. */
export function nameImage(build: (typeof BUILDS)[number]): string {
  return `ami-0${build.replace('-', '')}0000`;
}

/** The id of the zone that `makeZone` makes: moto's own do not start with Z, as Route 53's do. */
export const ZONE_ID = 'Z0CONTRACT';

const PROGRAM = [
  'from moto.route53 import models',
  'from moto.server import main',
  `models.create_route53_zone_id = lambda: "${ZONE_ID}"`,
  'main(["--host", "0.0.0.0", "--port", "5000"])',
].join('\n');

function describeImages(): object[] {
  return BUILDS.map((build) => ({
    ami_id: nameImage(build),
    name: `debian-13-amd64-${build}`,
    owner_id: DEBIAN,
    state: 'available',
    public: true,
    image_location: `${DEBIAN}/debian-13-amd64-${build}`,
    description: `Debian 13 (${build})`,
    architecture: 'x86_64',
    virtualization_type: 'hvm',
    hypervisor: 'xen',
    image_type: 'machine',
    root_device_type: 'ebs',
    root_device_name: '/dev/xvda',
    sriov: 'simple',
    platform: null,
    creation_date: `${build.slice(0, 4)}-${build.slice(4, 6)}-${build.slice(6, 8)}T12:00:00.000Z`,
  }));
}

/** Starts moto on a free port; `world` names its container. It keeps everything in memory. */
export async function startMoto(world: string): Promise<Moto> {
  const { services } = await ensureImages({ only: ['services'] });
  const name = `pgca-${world}-ec2`;
  await removeContainer(name);
  const script = 'printf %s "$IMAGES" >/tmp/images.json && exec python3 -c "$PROGRAM"';
  const local = await ensureService({
    world,
    name,
    image: services,
    publish: 5000,
    flags: [
      ...['--env', `IMAGES=${JSON.stringify(describeImages())}`],
      ...['--env', 'MOTO_AMIS_PATH=/tmp/images.json'],
      ...['--env', `PROGRAM=${PROGRAM}`],
    ],
    command: ['sh', '-c', script],
  });
  const endpoint = `http://${local}`;
  await awaitService(name, `${endpoint}/moto-api/`);
  const front = await startFront(endpoint);
  const send = async (service: string, path: string, body: string | URLSearchParams) => {
    const scope = `lab/20260101/${REGION}/${service}/aws4_request`;
    const answer = await fetch(`${endpoint}${path}`, {
      method: 'POST',
      headers: {
        authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
      },
      body,
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`moto: ${service}: ${body}: ${answer.status} ${text}`);
    return text;
  };
  return {
    front,
    environment: {
      AWS_ENDPOINT_URL: front.url,
      AWS_ACCESS_KEY_ID: 'lab',
      AWS_SECRET_ACCESS_KEY: 'lab',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    call: (action, parameters = {}) => {
      const body = new URLSearchParams({ Action: action, Version: '2016-11-15', ...parameters });
      return send('ec2', '/', body);
    },
    async makeZone(zone) {
      const { path, body } = renderZone(zone, { region: REGION, vpc: 'vpc-0a1b2c3d' });
      await send('route53', path, body);
    },
    async stop() {
      await front.stop();
      await removeContainer(name);
    },
  };
}
