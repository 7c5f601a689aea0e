import { call, ProviderError } from '../api-error.ts';
import type { Image } from '../catalogue/images.ts';
import { type Context, text, texts } from '../resource.ts';
import type { Fields } from '../values.ts';
import { writeArn } from '../world.ts';
import { applyFilters } from './filter.ts';

const FILTERS = [
  'architecture',
  'block-device-mapping.volume-type',
  'creation-date',
  'description',
  'ena-support',
  'hypervisor',
  'image-id',
  'image-type',
  'is-public',
  'name',
  'owner-alias',
  'owner-id',
  'platform',
  'root-device-name',
  'root-device-type',
  'state',
  'virtualization-type',
];

function shapeImage(image: Image): Fields {
  const snapshot = `snap-${image.id.slice(4)}`;
  return {
    id: image.id,
    arn: writeArn(image.region, 'image', image.id).replace(/:\d{12}:/, '::'),
    architecture: image.architecture,
    block_device_mappings: [
      {
        device_name: image.rootDevice,
        ebs: {
          delete_on_termination: 'true',
          encrypted: 'false',
          iops: '0',
          snapshot_id: snapshot,
          throughput: '0',
          volume_initialization_rate: '0',
          volume_size: String(image.rootSize),
          volume_type: 'gp3',
        },
        no_device: '',
        virtual_name: '',
      },
    ],
    boot_mode: image.architecture === 'arm64' ? 'uefi' : 'uefi-preferred',
    creation_date: image.created,
    deprecation_time: `${Number(image.created.slice(0, 4)) + 2}${image.created.slice(4)}`,
    description: image.description,
    ena_support: true,
    hypervisor: 'xen',
    image_id: image.id,
    image_location: `${image.ownerAlias ?? image.owner}/${image.name}`,
    image_owner_alias: image.ownerAlias ?? '',
    image_type: 'machine',
    imds_support: '',
    kernel_id: '',
    last_launched_time: '',
    name: image.name,
    owner_id: image.owner,
    platform: '',
    platform_details: 'Linux/UNIX',
    product_codes: [],
    public: true,
    ramdisk_id: '',
    root_device_name: image.rootDevice,
    root_device_type: 'ebs',
    root_snapshot_id: snapshot,
    sriov_net_support: 'simple',
    state: 'available',
    state_reason: { code: 'UNSET', message: 'UNSET' },
    tags: {},
    tpm_support: '',
    usage_operation: 'RunInstances',
    virtualization_type: 'hvm',
  };
}

/** `data.aws_ami` */
export async function readAmi(config: Fields, { world, region }: Context): Promise<Fields> {
  const owners = texts(config.owners);
  const owned = world
    .listImages(region)
    .filter(
      ({ owner, ownerAlias }) =>
        owners.length === 0 || owners.includes(owner) || owners.includes(ownerAlias ?? ''),
    );
  const filtered = await call('reading EC2 AMIs', 'DescribeImages', () =>
    applyFilters(owned, {
      filters: config.filter ?? null,
      known: FILTERS,
      facets: (image) => ({
        architecture: image.architecture,
        'block-device-mapping.volume-type': 'gp3',
        'creation-date': image.created,
        description: image.description,
        'ena-support': 'true',
        hypervisor: 'xen',
        'image-id': image.id,
        'image-type': 'machine',
        'is-public': 'true',
        name: image.name,
        'owner-alias': image.ownerAlias,
        'owner-id': image.owner,
        'root-device-name': image.rootDevice,
        'root-device-type': 'ebs',
        state: 'available',
        'virtualization-type': 'hvm',
      }),
    }),
  );
  const pattern = text(config.name_regex);
  const matching = filtered.filter(({ name }) => pattern === '' || new RegExp(pattern).test(name));
  const [newest, second] = matching.toSorted((left, right) =>
    right.created.localeCompare(left.created),
  );
  if (newest === undefined) {
    throw new ProviderError(
      'Your query returned no results. Please change your search criteria and try again.',
    );
  }
  if (second !== undefined && config.most_recent !== true) {
    throw new ProviderError(
      'Your query returned more than one result. Please try a more specific search criteria, or set `most_recent` attribute to true.',
    );
  }
  return shapeImage(newest);
}
